// What an action throws, for tests of messages.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "analyzer/error.h"

namespace invact::testing {

/// The message of the Error that `run` throws, whose kind must be `kind`; "no error" without one.
template <typename Run>
std::string error_of(ErrorKind kind, Run run) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

}  // namespace invact::testing
