#include "analyzer/reporting/quartiles.h"

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

}  // namespace invact
