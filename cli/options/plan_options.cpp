#include "cli/options/plan_options.h"

#include "analyzer/model/sha256.h"
#include "cli/options/plan_file.h"
#include "cli/options/size.h"

namespace invact {

void add_plan_options(CLI::App& command, RewriteOptions& options) {
  command.add_option("--only", options.only, "Consider these operators alone (silu,gelu)")
      ->group("Plan")
      ->type_name("OPS")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--skip", options.skip, "Leave these operators alone")
      ->group("Plan")
      ->type_name("OPS")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_flag("--exact", options.exact,
                "Only what leaves every gradient as it is, bit for bit (chains that are run again, "
                "dropout, relu6, hardtanh)")
      ->group("Plan");
  command
      .add_option("--strategy", options.strategies,
                  "Consider these strategies alone: output, closed, recompute")
      ->group("Plan")
      ->type_name("S,..")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"output", "closed", "recompute"}));
  command
      .add_option("--budget", options.budget,
                  "Run chains again only until no more than this is kept: 300MiB, 60% of what the "
                  "original keeps; exit 1 where that cannot be reached")
      ->group("Plan")
      ->type_name("SIZE|PCT");
  command
      .add_option("--write-plan", options.write_plan,
                  "Write the plan, to be edited and given to --plan, and no model")
      ->group("Plan")
      ->type_name("FILE");
  command
      .add_option("--plan", options.plan,
                  "Accept exactly the sites that this plan accepts (from --write-plan or --json)")
      ->group("Plan")
      ->type_name("FILE")
      ->excludes("--only")
      ->excludes("--skip")
      ->excludes("--strategy")
      ->excludes("--budget")
      ->excludes("--write-plan");
}

void add_undo_options(CLI::App& command, RewriteOptions& options) {
  command
      .add_flag("--restore", options.restore,
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
  command.add_flag("--no-verify", options.no_verify, "Write without running the rewritten model")
      ->group("Plan");
}

PlanOptions plan_options(const RewriteOptions& options) {
  PlanOptions plan;
  plan.only = options.only;
  plan.skip = options.skip;
  plan.exact = options.exact;
  plan.strategies = options.strategies;
  if (!options.budget.empty()) {
    plan.budget = [budget = parse_growth_limit("--budget", options.budget)](int64_t before) {
      return budget.allowed_bytes(before);
    };
  }
  if (!options.plan.empty()) {
    plan.decisions = read_plan_file(options.plan, sha256_of_file(options.model));
  }
  return plan;
}

}  // namespace invact
