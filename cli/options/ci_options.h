// The flags of `invact analyze` for CI: limits, a baseline to compare with, and the formats that CI
// services read.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cli/ci/gates.h"

namespace invact {

struct CiOptions {
  std::string baseline;
  bool allow_different = false;
  GateLimits limits;
  std::string sarif;
  std::string junit;
  std::string summary;
  bool github = false;
};

/// `--max-growth SIZE|PCT`, which diff has too.
void add_max_growth_option(CLI::App& command, std::optional<GrowthLimit>& limit);

/// `--allow-different`, which diff has too.
void add_allow_different_flag(CLI::App& command, bool& allow);

void add_ci_options(CLI::App& command, CiOptions& options);

/// Whether a document goes to stdout, where the table for people would mix with it. `json` is
/// --json's file.
bool stdout_is_taken(const CiOptions& options, const std::string& json);

/// Whether any gate, comparison or format was asked for.
bool reads_document(const CiOptions& options);

}  // namespace invact
