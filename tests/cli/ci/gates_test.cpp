#include "cli/ci/gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"
#include "cli/render/render.h"
#include "tests/cli/ci/synthetic_report.h"
#include "tests/support/golden.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

TEST(GatesTest, NoneAskedForNoneJudged) {
  EXPECT_TRUE(check_gates({}, small_report("r"), nullptr).empty());
  EXPECT_TRUE(CiResult{}.passed());
  EXPECT_EQ(render_gates({}, {}), "");
}

TEST(GatesTest, ALimitMayBeReachedButNotPassed) {
  const ReportFile report = small_report("r");  // 9 MiB saved, 3 MiB twice
  for (const int64_t spare : {-1, 0, 1}) {
    GateLimits limits;
    limits.max_saved = Size{(9 << 20) + spare, "limit"};
    limits.max_duplicate = Size{(3 << 20) + spare, "limit"};
    const std::vector<Gate> gates = check_gates(limits, report, nullptr);
    ASSERT_EQ(gates.size(), 2u);
    for (const Gate& gate : gates) EXPECT_EQ(gate.passed, spare >= 0) << gate.name << spare;
  }
}

TEST(GatesTest, GrowthIsOfSavedBytes) {
  const ReportDiff diff = diff_reports(small_report("old.json"), changed_report(), false);
  const auto passes = [&](const char* limit) {
    GateLimits limits;
    limits.max_growth = parse_growth_limit("--max-growth", limit);
    return check_gates(limits, diff.new_report, &diff).at(0).passed;
  };
  // 9 MiB before; 4 MiB came, 1.5 MiB went, and one row grew by 512 bytes: 2621952 more.
  EXPECT_TRUE(passes("2621952"));
  EXPECT_FALSE(passes("2621951"));
  EXPECT_TRUE(passes("27.79%"));
  EXPECT_FALSE(passes("27.78%"));
}

TEST(GatesTest, ShrinkingPassesEveryGrowthGate) {
  const ReportDiff diff = diff_reports(changed_report(), small_report("new.json"), false);
  GateLimits limits;
  limits.max_growth = parse_growth_limit("--max-growth", "0%");
  EXPECT_TRUE(check_gates(limits, diff.new_report, &diff).at(0).passed);
}

TEST(GatesTest, GrowthFromNothingExceedsEveryPercentage) {
  ReportFile empty = small_report("old.json");
  empty.storages.clear();
  empty.totals = {};
  const ReportDiff diff = diff_reports(empty, small_report("new.json"), false);
  GateLimits limits;
  limits.max_growth = parse_growth_limit("--max-growth", "1000%");
  EXPECT_FALSE(check_gates(limits, diff.new_report, &diff).at(0).passed);
}

TEST(GatesTest, AnUnknownPeakDoesNotPass) {
  GateLimits limits;
  limits.max_peak = Size{int64_t{1} << 40, "1TiB"};
  try {
    check_gates(limits, small_report("r"), nullptr);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("--max-peak 1TiB"));
  }
  EXPECT_TRUE(check_gates(limits, changed_report(), nullptr).at(0).passed);
  limits.max_peak = Size{(64 << 20) - 1, "limit"};
  EXPECT_FALSE(check_gates(limits, changed_report(), nullptr).at(0).passed);
}

TEST(GatesTest, Text) {
  expect_golden(render_gates(ci_result().gates, {}), "gates.txt");
}

}  // namespace
}  // namespace invact::testing
