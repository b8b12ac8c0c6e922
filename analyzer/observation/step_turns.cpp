#include "analyzer/observation/step_turns.h"

namespace invact {

StepTimes take_turns(int64_t pairs, const StepClock& original, const StepClock& rewritten,
                     const std::function<void()>& on_pair) {
  StepTimes times;
  for (int64_t i = 0; i < pairs; ++i) {
    on_pair();
    const bool original_first = i % 2 == 0;
    if (original_first) times.original_ns.push_back(original());
    if (rewritten) times.rewritten_ns.push_back(rewritten());
    if (!original_first) times.original_ns.push_back(original());
  }
  return times;
}

}  // namespace invact
