// BenchResult: how long the steps of a model took, beside those of the rewritten model where there
// is one, and what a step saves. Plain data, and the pure statistics that read it; knows no torch
// and no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/report.h"
#include "analyzer/trace.h"

namespace invact {

/// Median and quartiles of a sample: how every time is reported.
struct Quartiles {
  double lower = 0;
  double median = 0;
  double upper = 0;
  bool operator==(const Quartiles&) const = default;
};

/// By linear interpolation between the sorted values, of which there is at least one.
Quartiles quartiles(std::vector<double> values);

/// Between the quartiles, over the median.
double spread_fraction(const Quartiles& of);

/// One of the two models.
struct BenchSide {
  ModelRecord model;
  std::vector<int64_t> step_ns;  ///< Forward and backward, one per pair, in the order of running.
  int64_t saved_bytes = 0;       ///< Saved for backward, as the Report counts it.
  MemoryPeak peak;               ///< Of a step, as the Report's timeline has it.
  bool operator==(const BenchSide&) const = default;
};

struct BenchResult {
  std::vector<InputRecord> inputs;
  RunRecord run;
  int64_t warmup_count = 0;  ///< Pairs that ran first and are not counted.
  std::string allocator;     ///< Who reported the peaks: "c10 CPU allocator".
  BenchSide original;
  std::optional<BenchSide> rewritten;
  bool operator==(const BenchResult&) const = default;
};

/// Quartiles of a side's `step_ns`.
Quartiles step_quartiles(const BenchSide& side);

/// Rewritten over original, pair by pair; empty without a rewritten side.
std::vector<double> time_ratios(const BenchResult& result);

/// What a reader must know before relying on the figures: too few pairs, a wide spread, a model
/// that trains nothing. One sentence each.
std::vector<std::string> bench_notes(const BenchResult& result);

/// Fewer give no figure that counts.
inline constexpr int64_t kLeastPairs = 15;
/// A wider spread says more of the machine than of the models.
inline constexpr double kWideSpreadFraction = 0.10;

}  // namespace invact
