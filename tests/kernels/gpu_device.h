// The device of the GPU tests. Without one each test skips with a reason; INVACT_REQUIRE_GPU=1
// turns that into a failure.
#pragma once

#include <c10/core/Device.h>
#include <c10/cuda/CUDAFunctions.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace invact::testing {

inline const at::Device kGpu(at::kCUDA, 0);

/// To be called by SetUp().
inline void require_gpu() {
  if (c10::cuda::device_count() > 0) return;
  const char* required = std::getenv("INVACT_REQUIRE_GPU");
  if (required != nullptr && std::string(required) == "1") {
    GTEST_FAIL() << "INVACT_REQUIRE_GPU=1 and no CUDA device";
  }
  GTEST_SKIP() << "no CUDA device; INVACT_REQUIRE_GPU=1 makes this a failure";
}

}  // namespace invact::testing
