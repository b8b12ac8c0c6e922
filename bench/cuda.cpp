#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "bench/device.h"

namespace invact::bench::cuda {
namespace {

class Event {
 public:
  Event() { C10_CUDA_CHECK(cudaEventCreate(&event_)); }
  ~Event() { C10_CUDA_CHECK_WARN(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record() { C10_CUDA_CHECK(cudaEventRecord(event_, c10::cuda::getCurrentCUDAStream())); }
  double seconds_since(const Event& start) const {
    C10_CUDA_CHECK(cudaEventSynchronize(event_));
    float milliseconds = 0;
    C10_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start.event_, event_));
    return milliseconds * 1e-3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

const c10::CachingDeviceAllocator::Stat& allocated(
    const c10::CachingDeviceAllocator::DeviceStats& stats) {
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

}  // namespace

bool is_available() {
  return c10::cuda::device_count() > 0;
}

double seconds_of(int64_t calls, Work work) {
  Event start;
  Event end;
  start.record();
  for (int64_t i = 0; i < calls; ++i) work();
  end.record();
  return end.seconds_since(start);
}

MemoryUse memory_use(c10::function_ref<void(Work mark)> work) {
  namespace allocator = c10::cuda::CUDACachingAllocator;
  const c10::DeviceIndex device = c10::cuda::current_device();
  // Fresh segments: a cached block that is too large for a request, yet not worth splitting, would
  // count whole.
  allocator::emptyCache();
  allocator::resetPeakStats(device);
  const int64_t before = allocated(allocator::getDeviceStats(device)).current;
  MemoryUse use{};
  work([&] { use.saved_bytes = allocated(allocator::getDeviceStats(device)).current - before; });
  use.peak_bytes = allocated(allocator::getDeviceStats(device)).peak - before;
  return use;
}

}  // namespace invact::bench::cuda
