// The golden file is checked against the schema by the test zoo.schema.cuda.
#include "analyzer/reporting/device_json.h"

#include <gtest/gtest.h>

#include "tests/support/device_reports.h"
#include "tests/support/golden.h"

namespace invact {
namespace {

TEST(DeviceJsonTest, WhatCuptiRecorded) {
  test::expect_golden(to_json(test::small_device_report()).dump(2) + "\n", "cuda.json");
}

TEST(DeviceJsonTest, WithoutCuptiNoNumberOfTheDriverIsWritten) {
  const auto json = to_json(build_device_report({16, 20}, 9, "no CUPTI"));
  EXPECT_EQ(
      json.dump(),
      R"({"backend":"allocator","note":"no CUPTI","levels":{"saved_bytes":9,)"
      R"("other_allocated_bytes":7,"allocated_bytes":16,"cached_bytes":4,"reserved_bytes":20}})");
}

}  // namespace
}  // namespace invact
