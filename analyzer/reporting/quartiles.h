// Median and quartiles of a sample: what every figure of time is reported as (DESIGN section 9).
// Pure.
#pragma once

#include <vector>

namespace invact {

struct Quartiles {
  double lower = 0;
  double median = 0;
  double upper = 0;
  bool operator==(const Quartiles&) const = default;
};

/// By linear interpolation between the sorted values, of which there is at least one.
Quartiles quartiles(std::vector<double> values);

}  // namespace invact
