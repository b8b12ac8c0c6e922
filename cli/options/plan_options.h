// The flags of `rewrite` that say what is considered, and what they make of a plan's options.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/commands/rewrite_command.h"
#include "rewriter/planning/planner.h"

namespace invact {

/// --only, --skip, --exact, --strategy, --budget, --write-plan, --plan.
void add_plan_options(CLI::App& command, RewriteOptions& options);

/// --restore and --no-verify; behind add_plan_options() and --html, with which one has no meaning.
void add_undo_options(CLI::App& command, RewriteOptions& options);

/// @throws Error(kUsage) where a budget or a plan file cannot be read.
PlanOptions plan_options(const RewriteOptions& options);

}  // namespace invact
