// The flags of `rewrite` that say what is considered, and the planner's options that they stand
// for.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "rewriter/planning/planner.h"

namespace invact {

struct PlanFlags {
  std::vector<std::string> only;
  std::vector<std::string> skip;
  bool exact = false;
  std::vector<std::string> strategies;
  std::string budget;      ///< What may be saved, as it was written; empty: no limit.
  std::string plan;        ///< Decisions to follow: a file that --write-plan or --json made.
  std::string write_plan;  ///< Where to write the plan, and nothing else.
  bool restore = false;
  bool no_verify = false;
};

/// --only, --skip, --exact, --strategy, --budget, --write-plan, --plan.
void add_plan_options(CLI::App& command, PlanFlags& flags);

/// --restore and --no-verify. Call it after add_plan_options() and after --html was added:
/// --restore excludes their flags, which must exist by then.
void add_undo_options(CLI::App& command, PlanFlags& flags);

/// @throws Error(kUsage) where a budget or a plan file cannot be read, or the plan was made for
/// another model than the one at `model_path`.
PlanOptions plan_options(const PlanFlags& flags, const std::string& model_path);

}  // namespace invact
