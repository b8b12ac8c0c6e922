// invact diff
#include <algorithm>
#include <memory>

#include "analyzer/observation/environment.h"
#include "analyzer/reporting/json.h"
#include "cli/ci/formats/formats.h"
#include "cli/commands/ci_run.h"
#include "cli/commands/commands.h"
#include "cli/options/ci_options.h"
#include "cli/output_file.h"
#include "cli/render/render.h"
#include "cli/terminal.h"

namespace invact {
namespace {

struct DiffOptions {
  std::string old_report;
  std::string new_report;
  std::optional<GrowthLimit> max_growth;
  bool allow_different = false;
  std::string json;
  int64_t top = 20;
};

ReportFile read_side(const std::string& path, const GlobalOptions& global) {
  ReportFile report = read_report_file(path);
  strip_source_prefix(global.strip_prefix, report);
  return report;
}

ExitCode run_diff(const DiffOptions& options, const GlobalOptions& global) {
  const ReportDiff diff =
      diff_reports(read_side(options.old_report, global), read_side(options.new_report, global),
                   options.allow_different);
  GateLimits limits;
  limits.max_growth = options.max_growth;
  const std::vector<Gate> gates = check_gates(limits, diff.new_report, &diff);
  if (!options.json.empty()) {
    auto document = document_head(current_environment());
    document.update(diff_json(diff, gates));
    write_text(options.json, document.dump(2) + "\n");
  }
  if (options.json != "-") {
    const RenderOptions render = stdout_options(global, options.top);
    write_text("-", render_diff(diff, render) + render_gates(gates, render));
  }
  say_failed_gates(gates);
  const bool passed =
      std::all_of(gates.begin(), gates.end(), [](const Gate& gate) { return gate.passed; });
  return passed ? kExitDone : kExitGateFailed;
}

}  // namespace

Command add_diff_command(CLI::App& app, const GlobalOptions& global) {
  const auto state = std::make_shared<DiffOptions>();
  DiffOptions& options = *state;
  CLI::App* const command =
      app.add_subcommand("diff", "Say what changed between two reports (analyze --json)");
  command->add_option("OLD", options.old_report, "The older report")->required();
  command->add_option("NEW", options.new_report, "The newer report")->required();
  add_max_growth_option(*command, options.max_growth);
  add_allow_different_flag(*command, options.allow_different);
  command
      ->add_option("--json", options.json,
                   "Write the diff as JSON; - for stdout (instead of the table)")
      ->group("Output")
      ->type_name("FILE");
  command->add_option("--top", options.top, "Rows of the table, the largest changes first")
      ->group("Output")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  invact diff main.json branch.json\n"
      "  invact diff main.json branch.json --max-growth 5%");
  return {command, [state, &global] { return run_diff(*state, global); }};
}

}  // namespace invact
