// What the options of a plan decide: operators by name, sites by hand, exactness.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"
#include "rewriter/planning/planner.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

TEST(PlanOptionsTest, DecisionsByHand) {
  const auto module = with_body(
      "    y = torch.linear(torch.gelu(torch.linear(x, self.w)), self.w)\n"
      "    return torch.linear(torch.silu(y), self.w)\n");
  const Plan all = plan_of(module);
  ASSERT_EQ(all.accepted_count(), 2);
  const auto decided = [&](bool first, bool second) {
    PlanOptions options = from_outputs();
    options.decisions = {{all.sites[0].id, first}, {all.sites[1].id, second}};
    return plan_of(module, options);
  };
  EXPECT_EQ(decided(true, true), all);
  EXPECT_EQ(reason(decided(false, true), 0), "excluded");
  EXPECT_EQ(decided(false, true).accepted_count(), 1);
  PlanOptions elsewhere;
  elsewhere.decisions = {{"gone/forward#1", false}};
  EXPECT_THROW(plan_of(module, elsewhere), Error);
  PlanOptions nothing;
  nothing.decisions.emplace();
  EXPECT_EQ(plan_of(module, nothing).accepted_count(), 0);
}

TEST(PlanOptionsTest, ExactTakesWhatLeavesGradientsAlone) {
  PlanOptions exact = from_outputs();
  exact.exact = true;
  for (const char* activation :
       {"torch.relu6(h)", "torch.hardtanh(h)", "torch.dropout(h, 0.5, True)"}) {
    EXPECT_EQ(reason(plan_of(make_mlp(activation, 16, 32, 4), exact)), "accepted") << activation;
  }
  for (const char* activation : {"torch.gelu(h)", "torch.elu(h)", "h * torch.sigmoid(h)"}) {
    EXPECT_EQ(reason(plan_of(make_mlp(activation, 16, 32, 4), exact)), "not_exact") << activation;
  }
}

TEST(PlanOptionsTest, OnlyAndSkip) {
  const auto module = make_mlp("torch.gelu(h)", 16, 32, 4);
  EXPECT_EQ(reason(plan_of(module, {{}, {"gelu"}, false, {"output", "closed"}})), "excluded");
  EXPECT_EQ(reason(plan_of(module, {{"silu"}, {}, false, {"output", "closed"}})), "excluded");
  EXPECT_EQ(reason(plan_of(module, {{"aten::gelu"}, {}, false, {"output", "closed"}})), "accepted");
  EXPECT_THROW(plan_of(module, {{"relu"}, {}, false, {"output", "closed"}}), Error);
}

/// Three gates, each of which frees two tensors of 8 x 16 floats by running again.
torch::jit::Module gates() {
  std::string body = "    y = x\n";
  for (int i = 0; i < 3; ++i) {
    body +=
        "    y = torch.linear(torch.silu(torch.linear(y, self.w)) * torch.linear(y, self.w), "
        "self.w)\n";
  }
  return with_body(body + "    return y\n");
}

TEST(PlanOptionsTest, ABudgetRunsNoMoreSegmentsAgainThanItNeeds) {
  constexpr int64_t kGate = 2 * 4 * kRows * kColumns;
  PlanOptions options;
  options.strategies = {"recompute"};
  const Plan all = plan_of(gates(), options);
  ASSERT_EQ(all.saved_bytes_before - all.saved_bytes_after, 3 * kGate);
  EXPECT_EQ(all.budget, std::nullopt);
  for (const int64_t gate_count : {0, 1, 2, 3}) {
    options.budget = [&](int64_t before) { return before - gate_count * kGate; };
    const Plan plan = plan_of(gates(), options);
    EXPECT_EQ(plan.saved_bytes_after, all.saved_bytes_before - gate_count * kGate);
    EXPECT_EQ(plan.budget, plan.saved_bytes_after);
  }
  options.budget = [](int64_t) { return 100; };
  EXPECT_EQ(plan_of(gates(), options).saved_bytes_after, all.saved_bytes_after);
}

TEST(PlanOptionsTest, ABudgetMayNeedASegmentThatTimeAloneWouldNot) {
  const auto module = with_lines("    y = torch.gelu(h)\n");
  const Plan by_time = plan_of(module, {});
  ASSERT_THAT(segments(by_time), ::testing::IsEmpty());
  // The segment needs none of the bits.
  ASSERT_LT(by_time.fewest_saved_bytes, by_time.saved_bytes_after);
  PlanOptions options;
  options.budget = [&](int64_t) { return by_time.fewest_saved_bytes; };
  const Plan plan = plan_of(module, options);
  EXPECT_EQ(plan.saved_bytes_after, by_time.fewest_saved_bytes);
  EXPECT_EQ(plan.fewest_saved_bytes, by_time.fewest_saved_bytes);
  EXPECT_THAT(segments(plan), ::testing::ElementsAre("gelu"));
}

TEST(PlanOptionsTest, RunningAgainHasItsTime) {
  for (const Site& site : plan_of(gates(), {}).sites) {
    if (!site.decision.accepted) continue;
    EXPECT_GT(site.extra_ns, 0) << site.op;
  }
}

}  // namespace
}  // namespace invact::testing
