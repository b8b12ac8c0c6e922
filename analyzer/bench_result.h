// BenchResult: how long steps of a model took, beside those of its rewritten form where there is
// one, and what a step keeps. Plain data, the turns in which steps are taken, and pure statistics;
// knows no torch and no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/reporting/memory_timeline.h"
#include "analyzer/reporting/quartiles.h"
#include "analyzer/trace.h"

namespace invact {

/// Between the quartiles, over the median.
double spread_fraction(const Quartiles& of);

/// One of the two models.
struct BenchSide {
  ModelRecord model;
  std::vector<int64_t> step_ns;  ///< Forward and backward, one per pair, in the order of running.
  int64_t saved_bytes = 0;       ///< Kept for backward, as the Report counts it.
  MemoryPeak peak;               ///< Of a step, as the Report's timeline has it.
  bool operator==(const BenchSide&) const = default;
};

struct BenchResult {
  std::vector<InputRecord> inputs;
  RunRecord run;
  int64_t warmup_count = 0;  ///< Pairs that were run before and not counted.
  std::string allocator;     ///< Who reported the peaks: "c10 CPU allocator".
  BenchSide original;
  std::optional<BenchSide> rewritten;
  bool operator==(const BenchResult&) const = default;
};

/// Quartiles of a side's `step_ns`.
Quartiles step_quartiles(const BenchSide& side);

/// Rewritten over original, pair by pair; empty without a rewritten side.
std::vector<double> time_ratios(const BenchResult& result);

/// What a reader must know before the figures count: too few pairs, a wide spread, a model that
/// trains nothing. A sentence each.
std::vector<std::string> bench_notes(const BenchResult& result);

/// Fewer give no figure that counts (DESIGN section 9).
inline constexpr int64_t kLeastPairs = 15;
/// A wider spread says more of the machine than of the models.
inline constexpr double kWideSpreadFraction = 0.10;

/// Nanoseconds of a step that it runs now.
using StepClock = std::function<int64_t()>;

struct StepTimes {
  std::vector<int64_t> original_ns;
  std::vector<int64_t> rewritten_ns;
};

/// `pairs` steps of each side in turn, so that what else the machine does meets both alike:
/// original, rewritten, rewritten, original, and so on, since who comes second finds caches as the
/// first left them. An empty `rewritten` is left out. `on_pair` is called before each pair.
StepTimes take_turns(int64_t pairs, const StepClock& original, const StepClock& rewritten,
                     const std::function<void()>& on_pair);

}  // namespace invact
