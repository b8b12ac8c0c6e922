#include "bench/device.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <time.h>

#include <algorithm>
#include <memory>

namespace invact::bench {
namespace {

/// LibTorch's CPU allocator tells it of every block.
class AllocationCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t alloc_size, size_t, size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    bytes_ += alloc_size;
    peak_bytes_ = std::max(peak_bytes_, bytes_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t bytes() const { return bytes_; }
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  int64_t bytes_ = 0;
  int64_t peak_bytes_ = 0;
};

double seconds_now(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double seconds_of(Clock clock, int64_t calls, Work work) {
  if (clock == Clock::kGpu) return cuda::seconds_of(calls, work);
  const clockid_t id = clock == Clock::kThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const double start = seconds_now(id);
  for (int64_t i = 0; i < calls; ++i) work();
  return seconds_now(id) - start;
}

MemoryUse memory_use(c10::DeviceType device, c10::function_ref<void(Work mark)> work) {
  if (device == c10::kCUDA) return cuda::memory_use(work);
  const auto counter = std::make_shared<AllocationCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  MemoryUse use{};
  work([&] { use.saved_bytes = counter->bytes(); });
  use.peak_bytes = counter->peak_bytes();
  return use;
}

}  // namespace invact::bench
