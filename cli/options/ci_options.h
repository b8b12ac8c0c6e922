// The flags of `invact analyze` for CI: limits, a baseline to compare with, and the formats that CI
// services read.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cli/ci/gates.h"
#include "cli/options/run_options.h"

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

/// `--allow-different`, likewise.
void add_allow_different_flag(CLI::App& command, bool& allow);

void add_ci_options(CLI::App& command, CiOptions& options);

/// What can be refused before minutes of work: the baseline is read here. `json` is --json's file.
/// @throws Error(kUsage).
std::optional<ReportFile> read_baseline(const CiOptions& options, const std::string& json);

/// Whether the table for people would share stdout with a document.
bool stdout_is_taken(const CiOptions& options, const std::string& json);

/// Whether any gate, comparison or format was asked for.
bool reads_document(const CiOptions& options);

/// `document`: of this run, its sources without --strip-prefix's prefix.
/// @throws Error(kUsage) where the runs do not compare.
CiResult check_report(const CiOptions& options, const nlohmann::ordered_json& document,
                      const std::optional<ReportFile>& baseline, const GlobalOptions& global);

/// Writes the files that were asked for, and annotations and failed gates to stderr.
void write_ci_outputs(const CiOptions& options, const CiResult& result, int64_t top);

/// Names each failed gate on stderr, with --quiet too: it is why the command fails.
void say_failed_gates(const std::vector<Gate>& gates);

}  // namespace invact
