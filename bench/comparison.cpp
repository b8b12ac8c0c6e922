#include "bench/comparison.h"

#include <algorithm>
#include <cmath>

namespace invact::bench {
namespace {

constexpr double kSampleSecondsCpu = 0.5e-3;
constexpr double kSampleSecondsGpu = 2e-3;
constexpr int64_t kMostCalls = 10000;

/// One side in turn with others.
class Side {
 public:
  Side(Clock clock, Work work) : clock_(clock), work_(work) {
    work_();  // whatever a first call sets up
    const double wanted = clock == Clock::kGpu ? kSampleSecondsGpu : kSampleSecondsCpu;
    const double once = seconds_of(clock_, 1, work_);
    const double calls = std::ceil(wanted / std::max(once, 1e-9));
    calls_ = std::clamp<int64_t>(static_cast<int64_t>(calls), 1, kMostCalls);
  }

  double seconds(bool is_cacheable) const {
    if (is_cacheable) work_();
    return seconds_of(clock_, calls_, work_) / static_cast<double>(calls_);
  }

 private:
  Clock clock_;
  Work work_;
  int64_t calls_;
};

}  // namespace

Samples compare(Clock clock, int pairs, bool is_cacheable, const Sides& sides,
                c10::function_ref<void(double)> on_pair) {
  const Side aten(clock, sides.aten);
  const Side ours(clock, sides.ours);
  const Side copy(clock, sides.copy);
  Samples samples;
  for (int i = 0; i < pairs; ++i) {
    samples.aten.push_back(aten.seconds(is_cacheable));
    samples.ours.push_back(ours.seconds(is_cacheable));
    samples.copy.push_back(copy.seconds(is_cacheable));
    on_pair(samples.ours.back());
  }
  return samples;
}

Quartiles quotients(const std::vector<double>& numerators,
                    const std::vector<double>& denominators) {
  std::vector<double> values(numerators.size());
  std::ranges::transform(numerators, denominators, values.begin(), std::divides<>());
  return quartiles(std::move(values));
}

}  // namespace invact::bench
