#include "bench/goals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/goals_table.h"
#include "bench/operator_table.h"

namespace invact::testing {
namespace {

using bench::bench_operators;
using bench::BenchOperator;
using bench::Finding;
using bench::Goal;
using bench::goals_for;
using bench::is_met;
using bench::render_goals;
using bench::Subject;
using bench::Unit;
using ::testing::HasSubstr;

Subject subject(const std::string& op, const std::string& direction, const std::string& dtype) {
  return {op, direction, dtype, "cpu", 1 << 20, 2};
}

TEST(Goals, AreThoseOfTheIssue) {
  const auto limit = [](const Subject& subject) { return goals_for(subject).at(0).limit; };
  EXPECT_EQ(limit(subject("gelu", "backward", "float32")), 1.1);
  EXPECT_EQ(limit(subject("gelu_tanh", "backward", "float16")), 0.4);
  EXPECT_EQ(limit(subject("mish", "backward", "bfloat16")), 0.25);
  EXPECT_EQ(limit(subject("quick_gelu", "forward", "float32")), 1.10);
  EXPECT_EQ(goals_for(subject("relu6", "backward", "float16")).at(0).unit, Unit::kCopyUnits);
  EXPECT_TRUE(goals_for(subject("hardswish", "backward", "bfloat16")).empty());
}

TEST(Goals, EveryMonotoneFunctionHasToRunAtMemorySpeed) {
  for (const BenchOperator& op : bench_operators()) {
    if (op.has_own_forward()) continue;
    const std::vector<Goal> goals = goals_for(subject(op.name, "backward", "float32"));
    ASSERT_EQ(goals.size(), 1u) << op.name;
    EXPECT_EQ(goals[0].unit, Unit::kCopyUnits) << op.name;
  }
}

TEST(Goals, OnAGpuTheLargestBfloat16HasABandwidthToo) {
  EXPECT_EQ(goals_for({"silu", "forward", "bfloat16", "cuda", 1 << 25, 0}).size(), 2u);
  EXPECT_EQ(goals_for({"silu", "forward", "bfloat16", "cuda", 1 << 24, 0}).size(), 1u);
}

TEST(Goals, AreMetByTheLowerQuartile) {
  const Goal goal{Unit::kRatioToAten, 1.1};
  Finding finding{subject("gelu", "backward", "float32"), {1.09, 1.2, 1.3}, {3, 3, 3}};
  EXPECT_TRUE(is_met(goal, finding));
  finding.ratio_to_aten.lower = 1.11;
  EXPECT_FALSE(is_met(goal, finding));
}

TEST(GoalsTable, SaysOfEachGoalWhetherItIsMet) {
  const std::vector<Finding> findings = {
      {{"gelu", "backward", "float32", "cpu", 4096, 1}, {0.8, 0.91, 1.0}, {3, 3, 3}},
      {{"gelu", "backward", "float32", "cpu", 4096, 2}, {1.2, 1.32, 1.4}, {3, 3, 3}},
      {{"elu", "backward", "float32", "cpu", 4096, 1}, {0.2, 0.2, 0.2}, {1.0, 1.15, 1.4}},
      {{"hardswish", "backward", "float16", "cpu", 4096, 1}, {9, 9, 9}, {9, 9, 9}},
  };
  const std::string text = render_goals(findings);
  EXPECT_THAT(text, HasSubstr("2^12 x1    2^12 x2\n"));
  EXPECT_THAT(text, HasSubstr("float32  1.10 ATen        0.91       1.32!\n"));
  EXPECT_THAT(text, HasSubstr("float32  1.20 copies      1.15 "));
  EXPECT_THAT(text, HasSubstr("\n2 of 3 goals met\n"));
  EXPECT_EQ(text.find("hardswish"), std::string::npos);
}

TEST(GoalsTable, IsEmptyWithoutFindings) {
  EXPECT_EQ(render_goals({}), "");
}

TEST(Subject, NamesItself) {
  EXPECT_EQ(subject("gelu", "backward", "float32").name(),
            "gelu/backward/float32/cpu/n=1048576/threads=2");
  EXPECT_EQ((Subject{"elu", "backward", "float16", "cuda", 4096, 0}).name(),
            "elu/backward/float16/cuda/n=4096");
}

}  // namespace
}  // namespace invact::testing
