// invact ops
#include <memory>
#include <span>

#include "analyzer/observation/environment.h"
#include "analyzer/reporting/json.h"
#include "cli/commands/commands.h"
#include "cli/output_file.h"
#include "cli/render/render.h"
#include "cli/terminal.h"
#include "kernels/catalog.h"

namespace invact {
namespace {

struct OpsOptions {
  bool json = false;
};

nlohmann::ordered_json rows_json(std::span<const kernels::Activation> rows) {
  auto array = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    array.push_back({{"op", row.aten_op},
                     {"variant", row.variant},
                     {"replacement", row.invact_op},
                     {"in_place", row.in_place},
                     {"strategy", row.strategy},
                     {"branch_bits_per_element", row.branch_bits_per_element},
                     {"depends_on_parameters", row.is_invertible != nullptr},
                     {"max_derivative_error",
                      {{"float64", row.error_bound.float64},
                       {"float32", row.error_bound.float32},
                       {"bfloat16", row.error_bound.bfloat16},
                       {"float16", row.error_bound.float16}}},
                     {"proof", kernels::proof(row)}});
  }
  return array;
}

nlohmann::ordered_json norms_json() {
  auto array = nlohmann::ordered_json::array();
  for (const auto& row : kernels::norms()) {
    array.push_back({{"op", row.aten_op}, {"replacement", row.invact_op}, {"strategy", "output"}});
  }
  return array;
}

nlohmann::ordered_json dropouts_json() {
  auto array = nlohmann::ordered_json::array();
  for (const auto& row : kernels::dropouts()) {
    array.push_back({{"op", row.aten_op},
                     {"replacement", row.invact_op},
                     {"in_place", row.in_place},
                     {"strategy", "closed"},
                     {"bits_per_element", 1}});
  }
  return array;
}

nlohmann::ordered_json activation_dropouts_json() {
  auto array = nlohmann::ordered_json::array();
  for (const auto& row : kernels::activation_dropouts()) {
    array.push_back({{"activation", row.activation_op}, {"replacement", row.invact_op}});
  }
  return array;
}

nlohmann::ordered_json operators_document() {
  auto document = document_head(current_environment());
  document["operators"] = rows_json(kernels::activations());
  document["written_out"] = rows_json(kernels::written_out_activations());
  document["norms"] = norms_json();
  document["dropouts"] = dropouts_json();
  document["activation_dropouts"] = activation_dropouts_json();
  document["keeps_output_already"] = kernels::output_saving_activations();
  return document;
}

ExitCode run_ops(const OpsOptions& options, const GlobalOptions& global) {
  write_text("-", options.json ? operators_document().dump(2) + "\n"
                               : render_operators(stdout_options(global)));
  return kExitDone;
}

}  // namespace

Command add_ops_command(CLI::App& app, const GlobalOptions& global) {
  const auto state = std::make_shared<OpsOptions>();
  OpsOptions& options = *state;
  CLI::App* const command = app.add_subcommand(
      "ops", "List the operators that a rewrite replaces, and their error bounds");
  command->add_flag("--json", options.json, "As JSON");
  return {command, [state, &global] { return run_ops(*state, global); }};
}

}  // namespace invact
