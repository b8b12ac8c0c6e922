// The device of the GPU tests. Without one each test skips with a reason; INVACT_REQUIRE_GPU=1
// turns that into a failure.
#pragma once

#include <c10/core/Device.h>
#include <c10/cuda/CUDAFunctions.h>

#include "tests/support/no_gpu.h"

namespace invact::testing {

inline const at::Device kGpu(at::kCUDA, 0);

/// To be called by SetUp().
inline void require_gpu() {
  if (c10::cuda::device_count() > 0) return;
  testing::skip_without_gpu("no CUDA device");
}

}  // namespace invact::testing
