#include "analyzer/bench_result.h"

#include <fmt/format.h>

#include <algorithm>

namespace invact {
namespace {

double value_at(const std::vector<double>& sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - static_cast<double>(below);
  return sorted[below] * (1 - weight) + sorted[above] * weight;
}

}  // namespace

Quartiles quartiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {value_at(values, 0.25), value_at(values, 0.5), value_at(values, 0.75)};
}

double spread_fraction(const Quartiles& of) {
  return of.median > 0 ? (of.upper - of.lower) / of.median : 0;
}

Quartiles step_quartiles(const BenchSide& side) {
  return quartiles({side.step_ns.begin(), side.step_ns.end()});
}

std::vector<double> time_ratios(const BenchResult& result) {
  std::vector<double> ratios;
  if (!result.rewritten) return ratios;
  for (size_t i = 0; i < result.original.step_ns.size(); ++i) {
    ratios.push_back(static_cast<double>(result.rewritten->step_ns.at(i)) /
                     static_cast<double>(result.original.step_ns[i]));
  }
  return ratios;
}

std::vector<std::string> bench_notes(const BenchResult& result) {
  std::vector<std::string> notes;
  const auto pairs = static_cast<int64_t>(result.original.step_ns.size());
  const char* const steps = result.rewritten ? "pairs" : "steps";
  if (pairs < kLeastPairs) {
    notes.push_back(fmt::format("Only {} {}: a figure that counts needs at least {} (--pairs).",
                                pairs, pairs == 1 ? (result.rewritten ? "pair" : "step") : steps,
                                kLeastPairs));
  }
  const double spread = spread_fraction(result.rewritten ? quartiles(time_ratios(result))
                                                         : step_quartiles(result.original));
  if (spread > kWideSpreadFraction) {
    notes.push_back(fmt::format(
        "The quartiles of the {} lie {:.0f} % of its median apart: something else keeps this "
        "machine busy, or a step is very short. Repeat it on a quieter machine, with larger inputs "
        "(--input) or more {} (--pairs).",
        result.rewritten ? "ratio" : "step time", 100 * spread, steps));
  }
  if (!result.original.model.requires_grad) {
    notes.push_back(
        fmt::format("No parameter of '{}' requires gradients: a step is its forward alone.",
                    result.original.model.path));
  }
  return notes;
}

}  // namespace invact
