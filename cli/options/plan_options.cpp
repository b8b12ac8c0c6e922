#include "cli/options/plan_options.h"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "analyzer/error.h"
#include "analyzer/model/model.h"
#include "cli/text/size.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw_usage_error(fmt::format(
      "--plan '{}' is no plan: {}; `invact rewrite MODEL --write-plan FILE` writes one.", path,
      why));
}

bool is_accepted(const Json& row, const std::string& path) {
  const bool is_row = row.is_object() && row.contains("id") && row["id"].is_string() &&
                      row.contains("decision") && row["decision"].is_string();
  if (!is_row) refuse(path, "a row of `plan` lacks `id` or `decision`");
  const auto decision = row["decision"].get<std::string>();
  if (decision != "accepted" && decision != "rejected") {
    refuse(path, fmt::format("the decision of '{}' is '{}', neither accepted nor rejected",
                             row["id"].get<std::string>(), decision));
  }
  return decision == "accepted";
}

/// For each site of the plan that `invact rewrite --write-plan` or `--json` wrote, and that
/// a user may have edited, whether it is accepted; by the site's id. @throws Error(kUsage) where
/// the file is missing, no such plan, or made for another model than the one of `model_sha256`.
std::map<std::string, bool> read_plan_file(const std::string& path,
                                           const std::string& model_sha256) {
  std::ifstream file(path);
  if (!file) throw_usage_error(fmt::format("--plan '{}': no such file.", path));
  const Json document = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) refuse(path, "it is not JSON");
  if (!document.is_object() || !document.contains("plan") || !document["plan"].is_array()) {
    refuse(path, "`plan` is missing");
  }
  const Json model = document.value("model", Json::object());
  if (!model.is_object() || model.value("sha256", "") != model_sha256) {
    throw_usage_error(fmt::format(
        "--plan '{}' was made for another model than this one (by its SHA-256).", path));
  }
  std::map<std::string, bool> decisions;
  for (const Json& row : document["plan"]) {
    decisions[row.is_object() ? row.value("id", "") : ""] = is_accepted(row, path);
  }
  return decisions;
}

}  // namespace

void add_plan_options(CLI::App& command, PlanFlags& flags) {
  command.add_option("--only", flags.only, "Consider these operators alone (silu,gelu)")
      ->group("Plan")
      ->type_name("OPS")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--skip", flags.skip, "Leave these operators alone")
      ->group("Plan")
      ->type_name("OPS")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_flag("--exact", flags.exact,
                "Only what leaves every gradient as it is, bit for bit (chains that are run again, "
                "dropout, relu6, hardtanh)")
      ->group("Plan");
  command
      .add_option("--strategy", flags.strategies,
                  "Consider these strategies alone: output, closed, recompute")
      ->group("Plan")
      ->type_name("S,..")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"output", "closed", "recompute"}));
  command
      .add_option("--budget", flags.budget,
                  "Run chains again only until no more than this is kept: 300MiB, 60% of what the "
                  "original keeps; exit 1 where that cannot be reached")
      ->group("Plan")
      ->type_name("SIZE|PCT");
  command
      .add_option("--write-plan", flags.write_plan,
                  "Write the plan, to be edited and given to --plan, and no model")
      ->group("Plan")
      ->type_name("FILE");
  command
      .add_option("--plan", flags.plan,
                  "Accept exactly the sites that this plan accepts (from --write-plan or --json)")
      ->group("Plan")
      ->type_name("FILE")
      ->excludes("--only")
      ->excludes("--skip")
      ->excludes("--strategy")
      ->excludes("--budget")
      ->excludes("--write-plan");
}

void add_undo_options(CLI::App& command, PlanFlags& flags) {
  command
      .add_flag("--restore", flags.restore,
                "Undo: write the original graph of a rewritten MODEL, with MODEL's weights")
      ->group("Plan")
      ->excludes("--only")
      ->excludes("--skip")
      ->excludes("--exact")
      ->excludes("--strategy")
      ->excludes("--budget")
      ->excludes("--plan")
      ->excludes("--write-plan")
      ->excludes("--html");
  command.add_flag("--no-verify", flags.no_verify, "Write without running the rewritten model")
      ->group("Plan");
}

PlanOptions plan_options(const PlanFlags& flags, const std::string& model_path) {
  PlanOptions plan;
  plan.only = flags.only;
  plan.skip = flags.skip;
  plan.exact = flags.exact;
  plan.strategies = flags.strategies;
  if (!flags.budget.empty()) {
    plan.budget = [budget = parse_growth_limit("--budget", flags.budget)](int64_t before) {
      return budget.allowed_bytes(before);
    };
  }
  if (!flags.plan.empty()) {
    plan.decisions = read_plan_file(flags.plan, sha256_of_file(model_path));
  }
  return plan;
}

}  // namespace invact
