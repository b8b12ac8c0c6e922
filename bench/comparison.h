// Two sides and a copy, timed in turns in one process, so that what else the machine does meets all
// three alike. Nothing here knows what is timed.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/device.h"
#include "bench/goals.h"

namespace invact::bench {

struct Sides {
  Work aten;
  Work ours;
  Work copy;
};

/// Seconds per call, one entry per pair.
struct Samples {
  std::vector<double> aten;
  std::vector<double> ours;
  std::vector<double> copy;
};

/// `pairs` times ATen, ours, the copy. Each is called as often as fills about half a millisecond
/// (two on a GPU); while its data may lie in cache, once more before that, so that each meets the
/// cache as it leaves it itself. `on_pair(seconds)` hears of each pair what our side took per call.
Samples compare(Clock clock, int pairs, bool is_cacheable, const Sides& sides,
                c10::function_ref<void(double)> on_pair);

/// Quartiles of the pairs' quotients.
Quartiles quotients(const std::vector<double>& numerators, const std::vector<double>& denominators);

}  // namespace invact::bench
