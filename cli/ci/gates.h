// Limits that a CI job sets, and whether a report stays within them. Pure. A gate that failed is a
// value, never an error: the report is written in any case, and the exit code says that it failed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/ci/report_diff.h"
#include "cli/ci/report_file.h"
#include "cli/text/size.h"

namespace invact {

struct GateLimits {
  std::optional<Size> max_saved;
  std::optional<Size> max_duplicate;
  std::optional<Size> max_peak;
  std::optional<GrowthLimit> max_growth;

  bool any() const { return max_saved || max_duplicate || max_peak || max_growth; }
};

struct Gate {
  std::string name;   ///< "max-saved": the flag.
  std::string limit;  ///< As the user wrote it: "64MiB", "5%".
  int64_t limit_bytes = 0;
  int64_t actual_bytes = 0;
  bool passed = true;
  std::string sentence;  ///< What was found, for people.
  bool operator==(const Gate&) const = default;
};

/// What a run in CI found. The formats show this and nothing else.
struct CiResult {
  ReportFile report;
  std::optional<ReportDiff> diff;  ///< Against the baseline where one was given.
  std::vector<Gate> gates;

  bool passed() const;
};

/// The gates that were asked for, in the order of the struct above. `diff` may be null unless
/// max_growth is set. @throws Error(kEnvironment) where max_peak is asked for and the run recorded
/// no timeline: a gate that cannot be judged must not pass.
std::vector<Gate> check_gates(const GateLimits& limits, const ReportFile& report,
                              const ReportDiff* diff);

}  // namespace invact
