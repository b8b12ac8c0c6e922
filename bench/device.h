// What differs between the CPU and a GPU in a bench: the clock, and who counts memory. cuda.cpp, or
// cuda_off.cpp in a build without CUDA, holds the GPU's half.
#pragma once

#include <c10/core/Device.h>
#include <c10/util/FunctionRef.h>

#include <cstdint>

namespace invact::bench {

using Work = c10::function_ref<void()>;

enum class Clock {
  kWall,
  kThread,  ///< The calling thread's processor time: work of one thread, on a machine that others
            ///< use too.
  kGpu,     ///< Two events on the current stream.
};

/// Seconds that `calls` calls of `work` take together.
double seconds_of(Clock clock, int64_t calls, Work work);

/// Bytes of tensors beyond those that were there before.
struct MemoryUse {
  int64_t saved_bytes;  ///< When `work` called `mark`.
  int64_t peak_bytes;
  bool operator==(const MemoryUse&) const = default;
};

/// Runs `work(mark)` and counts what LibTorch's allocator gives out, logical bytes: on a GPU the
/// caching allocator's own statistics. Tensors from before must not be freed by it.
MemoryUse memory_use(c10::DeviceType device, c10::function_ref<void(Work mark)> work);

namespace cuda {

bool is_available();
double seconds_of(int64_t calls, Work work);
MemoryUse memory_use(c10::function_ref<void(Work mark)> work);

}  // namespace cuda
}  // namespace invact::bench
