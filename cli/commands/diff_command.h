// `invact diff`: what changed between two reports of `invact analyze --json`?
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cli/options/run_options.h"
#include "cli/options/size.h"

namespace invact {

struct DiffOptions {
  std::string old_report;
  std::string new_report;
  std::optional<GrowthLimit> max_growth;
  bool allow_different = false;
  std::string json;
  int64_t top = 20;
};

/// Adds the command; its options are filled when the command line is parsed.
CLI::App* add_diff_command(CLI::App& app, DiffOptions& options);

/// @returns the exit code.
int run_diff(const DiffOptions& options, const GlobalOptions& global);

}  // namespace invact
