// What `analyze` and `rewrite` make of an analysis: its options from theirs, and its document.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/options/run_options.h"
#include "cli/terminal.h"
#include "rewriter/analysis.h"

namespace invact {

/// Analyzes the model at `path` as the command's flags ask, with a bar that shows the progress.
/// @throws Error.
Analysis run_analysis(const std::string& path, const RunOptions& run, ObservedPart part,
                      PlanOptions plan, Progress& progress);

/// Drops `prefix` from every source path, for reports that leave the machine.
void strip_source_prefix(const std::string& prefix, Analysis& analysis);

/// The analyze document is Report and Plan together: only cli knows both.
nlohmann::ordered_json analyze_document(const Analysis& analysis);

}  // namespace invact
