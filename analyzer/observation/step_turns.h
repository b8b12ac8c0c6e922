// The turns in which the steps of two models are timed. Knows no torch and no clock of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace invact {

/// Runs a step and returns the nanoseconds that it took.
using StepClock = std::function<int64_t()>;

struct StepTimes {
  std::vector<int64_t> original_ns;
  std::vector<int64_t> rewritten_ns;
};

/// Takes `pairs` steps of each side in turn, so that whatever else the machine does meets both
/// equally. The order within a pair alternates (original, rewritten, rewritten, original, ...),
/// since the second step finds the caches as the first one left them. An empty `rewritten` is left
/// out. `on_pair` is called before each pair.
StepTimes take_turns(int64_t pairs, const StepClock& original, const StepClock& rewritten,
                     const std::function<void()>& on_pair);

}  // namespace invact
