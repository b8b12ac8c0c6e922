// What a GPU test does where there is no GPU.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace invact::testing {

/// Skips the test with `reason`; INVACT_REQUIRE_GPU=1 makes it a failure. To be called by SetUp().
inline void skip_without_gpu(const std::string& reason) {
  const char* const required = std::getenv("INVACT_REQUIRE_GPU");
  if (required != nullptr && std::string(required) == "1") {
    GTEST_FAIL() << "INVACT_REQUIRE_GPU=1 and " << reason;
  }
  GTEST_SKIP() << reason << "; INVACT_REQUIRE_GPU=1 makes this a failure";
}

}  // namespace invact::testing
