// What analyze and diff do for CI: compare with a baseline, judge the gates, write the formats that
// CI services read.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/ci/gates.h"
#include "cli/options/ci_options.h"
#include "cli/options/run_options.h"

namespace invact {

/// Refuses before minutes of work what cannot be done after them, and reads the baseline. `json` is
/// --json's file. @throws Error(kUsage).
std::optional<ReportFile> read_baseline(const CiOptions& options, const std::string& json);

/// Compares this run's `document`, whose sources have lost --strip-prefix's prefix, with the
/// baseline and judges the gates. @throws Error(kUsage) where the runs do not compare.
CiResult check_report(const CiOptions& options, const nlohmann::ordered_json& document,
                      const std::optional<ReportFile>& baseline, const GlobalOptions& global);

/// Writes the files that were asked for, and annotations and failed gates to stderr.
void write_ci_outputs(const CiOptions& options, const CiResult& result, int64_t top);

/// Names each failed gate on stderr, with --quiet too, since it is why the command fails.
void say_failed_gates(const std::vector<Gate>& gates);

}  // namespace invact
