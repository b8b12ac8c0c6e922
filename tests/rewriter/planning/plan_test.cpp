// Which sites are accepted and why others are not. Each rule has a case that it rejects and a near
// miss.
#include "rewriter/planning/planner.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"
#include "analyzer/observation/session.h"
#include "analyzer/report.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

TEST(PlanTest, AcceptsEachOperatorBetweenTwoLinears) {
  for (const std::string activation :
       {"torch.gelu(h)", "torch.gelu(h, approximate='tanh')", "torch.silu(h)", "torch.silu_(h)"}) {
    const Plan plan = plan_of(make_mlp(activation, 16, 32, 4));
    ASSERT_EQ(plan.sites.size(), 1u) << activation;
    EXPECT_TRUE(plan.sites[0].decision.accepted)
        << activation << ": " << plan.sites[0].decision.reason;
    EXPECT_EQ(plan.sites[0].saved_bytes_delta, kRows * 32 / 8 - kRows * 32 * 4) << activation;
    EXPECT_EQ(plan.saved_bytes_after - plan.saved_bytes_before, kRows * 32 / 8 - kRows * 32 * 4);
  }
}

TEST(PlanTest, AcceptsMonotoneOperatorsWithoutABit) {
  for (const std::string activation :
       {"torch.elu(h)", "torch.celu(h, 0.5)", "torch.selu(h)", "torch.softplus(h)",
        "torch.leaky_relu(h, 0.2)", "torch.hardsigmoid(h)", "torch.hardtanh(h, -2, 2)",
        "torch.relu6(h)", "torch.hardsigmoid_(h)", "torch.hardtanh_(h)", "torch.relu6_(h)"}) {
    const Plan plan = plan_of(make_mlp(activation, 16, 32, 4));
    ASSERT_EQ(plan.sites.size(), 1u) << activation;
    EXPECT_TRUE(plan.sites[0].decision.accepted)
        << activation << ": " << plan.sites[0].decision.reason;
    EXPECT_EQ(plan.sites[0].strategy, "closed") << activation;
    EXPECT_EQ(plan.sites[0].saved_bytes_delta, -kRows * 32 * 4) << activation;
  }
}

TEST(PlanTest, LogSigmoidFreesItsBufferToo) {
  const Plan plan = plan_of(make_mlp("torch.log_sigmoid(h)", 16, 32, 4));
  ASSERT_EQ(plan.sites.size(), 1u);
  EXPECT_EQ(plan.sites[0].saved_bytes_delta, -2 * kRows * 32 * 4);
}

TEST(PlanTest, RejectsParametersThatTheOutputDoesNotInvert) {
  for (const std::string activation : {"torch.elu(h, -1)", "torch.celu(h, -0.5)",
                                       "torch.softplus(h, 1, 5)", "torch.leaky_relu(h, -0.2)"}) {
    const Plan plan = plan_of(make_mlp(activation, 16, 32, 4));
    EXPECT_EQ(reason(plan), "not_invertible") << activation;
  }
  EXPECT_EQ(reason(plan_of(with_body("    slope = 0.1 * float(x.size(0))\n"
                                     "    y = torch.leaky_relu(torch.linear(x, self.w), slope)\n"
                                     "    return torch.linear(y, self.w)\n"))),
            "parameters_unknown");
}

TEST(PlanTest, OneSiteThatRunsWithSeveralParametersIsRejected) {
  const auto module = make_module("Shared", {{"w", parameter({16, 16})}}, R"(
def act(self, x, slope: float):
    return torch.linear(torch.leaky_relu(torch.linear(x, self.w), slope), self.w)

def forward(self, x):
    return self.act(x, 0.1) + self.act(x, -0.1)
)");
  EXPECT_EQ(reason(plan_of(module)), "parameters_unknown");
}

TEST(PlanTest, ReplacementIsARename) {
  const Plan plan = plan_of(make_mlp("torch.silu_(h)", 16, 32, 4));
  EXPECT_EQ(replacement_of(plan.sites[0].edit), "invact::silu_");
}

TEST(PlanTest, OtherActivationsAreNoSites) {
  EXPECT_TRUE(plan_of(make_mlp("torch.relu(h)", 16, 32, 4)).sites.empty());
  EXPECT_TRUE(plan_of(make_mlp("torch.tanh(h)", 16, 32, 4)).sites.empty());
}

TEST(PlanTest, RejectsAnOutputThatNoOperatorSaves) {
  EXPECT_EQ(reason(plan_of(with_body("    return torch.gelu(torch.linear(x, self.w)).sum()\n"))),
            "output_not_kept");
  const Plan dropped =
      plan_of(with_body("    a = torch.gelu(torch.linear(x, self.w))\n"
                        "    y = torch.dropout(a, 0.5, True) + torch.dropout(a, 0.5, True)\n"
                        "    return torch.linear(y, self.w)\n"));
  EXPECT_EQ(reason(dropped), "output_not_kept");
  EXPECT_THAT(dropped.sites[0].decision.reason, HasSubstr("aten::dropout"));
}

TEST(PlanTest, RejectsAnInputThatAnotherOperatorSaves) {
  const Plan plan = plan_of(
      with_body("    h = torch.linear(x, self.w)\n"
                "    return torch.linear(torch.gelu(h), self.w) + torch.linear(h, self.w)\n"));
  EXPECT_EQ(reason(plan), "input_kept_elsewhere");
  EXPECT_THAT(plan.sites[0].decision.reason, HasSubstr("aten::linear"));
}

TEST(PlanTest, TwoSitesThatShareTheirInputGainTogether) {
  const Plan plan = plan_of(with_body(
      "    h = torch.linear(x, self.w)\n"
      "    return torch.linear(torch.gelu(h), self.w) + torch.linear(torch.silu(h), self.w)\n"));
  EXPECT_EQ(plan.accepted_count(), 2);
  EXPECT_EQ(plan.saved_bytes_after - plan.saved_bytes_before, 2 * kRows * 16 / 8 - kRows * 16 * 4);
}

TEST(PlanTest, RejectsOneOfSeveralChunksOfAStorage) {
  const auto module =
      make_module("Glu", {{"w", parameter({32, 16})}, {"v", parameter({4, 16})}}, R"(
def forward(self, x):
    a, b = torch.chunk(torch.linear(x, self.w), 2, dim=1)
    return torch.linear(torch.silu(a) * b, self.v)
)");
  EXPECT_EQ(reason(plan_of(module)), "input_kept_elsewhere");
}

TEST(PlanTest, RejectsAnOutputThatIsWrittenLater) {
  // mul by a constant saves nothing, so that the write would go unnoticed by autograd without ours.
  const Plan plan =
      plan_of(with_body("    y = torch.gelu(torch.linear(x, self.w))\n"
                        "    z = torch.linear(y.clone(), self.w)\n"
                        "    y.mul_(2)\n"
                        "    return torch.linear(y, self.w) + z\n"));
  EXPECT_EQ(reason(plan), "output_written");
  EXPECT_THAT(plan.sites[0].decision.reason, HasSubstr("aten::mul_"));
  // Near miss: a write to the input, before.
  EXPECT_EQ(reason(plan_of(with_body("    h = torch.linear(x, self.w)\n"
                                     "    h.mul_(2)\n"
                                     "    return torch.linear(torch.silu_(h), self.w)\n"))),
            "accepted");
}

TEST(PlanTest, RejectsAWriteInTheCallersCode) {
  auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("act", act);
  top.define(R"(
def forward(self, x):
    y = self.act.forward(torch.linear(x, self.w))
    z = torch.linear(y.clone(), self.w)
    y.add_(1)
    return torch.linear(y, self.w) + z
)");
  EXPECT_EQ(reason(plan_of(top)), "output_written");
}

TEST(PlanTest, OfTwoBranchesTheOneThatRanIsDecided) {
  const Plan plan =
      plan_of(with_body("    h = torch.linear(x, self.w)\n"
                        "    if h.size(0) > 1:\n"
                        "        h = torch.gelu(h)\n"
                        "    else:\n"
                        "        h = torch.silu(h)\n"
                        "    return torch.linear(h, self.w)\n"));
  ASSERT_EQ(plan.sites.size(), 2u);
  EXPECT_EQ(reason(plan, 0), "accepted");
  EXPECT_EQ(reason(plan, 1), "not_executed");
}

TEST(PlanTest, ABranchThatAConstantExcludesIsNoSite) {
  const Plan plan =
      plan_of(with_body("    h = torch.linear(x, self.w)\n"
                        "    inplace = False\n"
                        "    if inplace:\n"
                        "        h = torch.silu_(h)\n"
                        "    else:\n"
                        "        h = torch.silu(h)\n"
                        "    return torch.linear(h, self.w)\n"));
  ASSERT_EQ(plan.sites.size(), 1u);
  EXPECT_EQ(plan.sites[0].op, "aten::silu");
  EXPECT_EQ(reason(plan), "accepted");
}

TEST(PlanTest, EveryTurnOfALoopCounts) {
  const Plan plan =
      plan_of(with_body("    h = x\n"
                        "    for i in range(3):\n"
                        "        h = torch.linear(torch.gelu(torch.linear(h, self.w)), self.w)\n"
                        "    return h\n"));
  ASSERT_EQ(plan.sites.size(), 1u);
  EXPECT_EQ(plan.sites[0].saved_bytes_delta, 3 * (kRows * 16 / 8 - kRows * 16 * 4));
}

/// `body` runs twice, on h; then a linear saves h.
std::string reason_in_loop(const std::string& body) {
  return reason(
      plan_of(with_body("    h = torch.linear(x, self.w)\n"
                        "    g = torch.linear(x, self.w)\n"
                        "    for i in range(2):\n" +
                        body + "    return torch.linear(h, self.w) + torch.linear(g, self.w)\n")));
}

TEST(PlanTest, RejectsAnOutputThatALaterTurnWrites) {
  EXPECT_EQ(reason_in_loop("        h = torch.silu_(h)\n"), "output_written");
  EXPECT_EQ(reason_in_loop("        h.mul_(2)\n"
                           "        h = torch.gelu(h)\n"),
            "output_written");
  // The output becomes g, then h, and is written two turns later.
  EXPECT_EQ(reason_in_loop("        h.mul_(2)\n"
                           "        h, g = g, torch.gelu(g)\n"),
            "output_written");
  // Near misses: the write hits what this turn made anew, and a tensor that is not carried.
  EXPECT_EQ(
      reason_in_loop("        h = torch.linear(torch.silu_(torch.linear(h, self.w)), self.w)\n"),
      "accepted");
  EXPECT_EQ(reason_in_loop("        y = torch.gelu(torch.linear(h, self.w))\n"
                           "        h = torch.linear(y, self.w)\n"
                           "        h.mul_(2)\n"),
            "accepted");
}

TEST(PlanTest, RejectsAnOutputThatIsWrittenBehindTheLoop) {
  EXPECT_EQ(reason(plan_of(with_body("    h = torch.linear(x, self.w)\n"
                                     "    g = h\n"
                                     "    for i in range(2):\n"
                                     "        g = h\n"
                                     "        h = torch.gelu(torch.linear(h, self.w))\n"
                                     "    z = torch.linear(g.clone(), self.w)\n"
                                     "    g.mul_(2)\n"
                                     "    return torch.linear(g, self.w) + z\n"))),
            "output_written");
}

TEST(PlanTest, RejectsAViewThatIsWrittenInPlace) {
  EXPECT_EQ(reason(plan_of(with_body("    h = torch.linear(x, self.w)\n"
                                     "    y = torch.silu_(h.view([-1, 16]))\n"
                                     "    return torch.linear(y, self.w)\n"))),
            "writes_view");
}

TEST(PlanTest, RejectsAVariantDecidedAtRunTime) {
  EXPECT_EQ(
      reason(plan_of(with_body("    how = 'none' if x.size(0) > 1 else 'tanh'\n"
                               "    y = torch.gelu(torch.linear(x, self.w), approximate=how)\n"
                               "    return torch.linear(y, self.w)\n"))),
      "variant_unknown");
}

TEST(PlanTest, RejectsWhatNeedsNoGradient) {
  const auto module =
      make_module("Frozen", {{"f", parameter({16, 16}, false)}, {"w", parameter({4, 16})}}, R"(
def forward(self, x):
    return torch.linear(torch.gelu(torch.linear(x, self.f)), self.w)
)");
  EXPECT_EQ(reason(plan_of(module)), "saves_nothing");
}

TEST(PlanTest, RejectsAFrozenConsumer) {
  const auto module =
      make_module("Lora", {{"w", parameter({16, 16})}, {"f", parameter({4, 16}, false)}}, R"(
def forward(self, x):
    return torch.linear(torch.gelu(torch.linear(x, self.w)), self.f)
)");
  EXPECT_EQ(reason(plan_of(module)), "output_not_kept");
}

TEST(PlanTest, ARejectedSiteSaysWhatItWouldFreeWhereThatIsKnown) {
  const Plan excluded =
      plan_of(make_mlp("torch.gelu(h)", 16, 32, 4), {{}, {"gelu"}, false, {"output", "closed"}});
  EXPECT_EQ(excluded.sites[0].saved_bytes_delta, kRows * 32 / 8 - kRows * 32 * 4);
  EXPECT_EQ(excluded.saved_bytes_after, excluded.saved_bytes_before);
  const Plan unknown =
      plan_of(with_body("    slope = 0.1 * float(x.size(0))\n"
                        "    y = torch.leaky_relu(torch.linear(x, self.w), slope)\n"
                        "    return torch.linear(y, self.w)\n"));
  EXPECT_EQ(reason(unknown), "parameters_unknown");
  EXPECT_EQ(unknown.sites[0].saved_bytes_delta, -kRows * 16 * 4);
  const Plan variant =
      plan_of(with_body("    how = 'none'\n"
                        "    if x.size(0) > 100:\n"
                        "        how = 'tanh'\n"
                        "    y = torch.gelu(torch.linear(x, self.w), approximate=how)\n"
                        "    return torch.linear(y, self.w)\n"));
  EXPECT_EQ(reason(variant), "variant_unknown");
  EXPECT_EQ(variant.sites[0].saved_bytes_delta, 0);
}

/// Two instances of one class; the second's output goes to `consumer`.
Plan plan_of_shared_class(const std::string& consumer) {
  auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("a", act);
  top.register_module("b", torch::jit::Module(act._ivalue()->copy()));
  top.define(R"(
def forward(self, x):
    y = self.a.forward(torch.linear(x, self.w))
    z = self.b.forward(torch.linear(y, self.w))
    return )" +
             consumer + "\n");
  return plan_of(top);
}

TEST(PlanTest, InstancesOfOneClassAreDecidedApart) {
  const Plan both = plan_of_shared_class("torch.linear(z, self.w)");
  ASSERT_EQ(both.sites.size(), 2u);
  EXPECT_EQ(both.accepted_count(), 2);
  const Plan one = plan_of_shared_class("z.sum()");
  EXPECT_EQ(one.accepted_count(), 1);
  EXPECT_EQ(reason(one, 0), "accepted");
  EXPECT_EQ(reason(one, 1), "output_not_kept");
}

TEST(PlanTest, OneInstanceUnderTwoNamesIsOneSite) {
  auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("a", act);
  top.register_module("b", act);
  top.define(R"(
def forward(self, x):
    y = self.a.forward(torch.linear(x, self.w))
    z = self.b.forward(torch.linear(y, self.w))
    return torch.linear(z, self.w)
)");
  const Plan plan = plan_of(top);
  ASSERT_EQ(plan.sites.size(), 1u);
  EXPECT_EQ(reason(plan), "accepted");
  EXPECT_EQ(plan.sites[0].saved_bytes_delta, 2 * (kRows * 16 / 8 - kRows * 16 * 4));
}

TEST(PlanTest, SitesOfAMethodThatForwardCalls) {
  const Plan plan = plan_of(make_module("Methods", {{"w", parameter({16, 16})}}, R"(
def block(self, x):
    return torch.linear(torch.gelu(torch.linear(x, self.w)), self.w)
def forward(self, x):
    return self.block(self.block(x))
)"));
  ASSERT_EQ(plan.sites.size(), 1u);
  EXPECT_EQ(plan.sites[0].place.method, "block");
  EXPECT_EQ(plan.sites[0].saved_bytes_delta, 2 * (kRows * 16 / 8 - kRows * 16 * 4));
}

TEST(PlanTest, NotesADropoutThatDropsNothing) {
  const Plan plan =
      plan_of(with_body("    y = torch.dropout(torch.gelu(torch.linear(x, self.w)), 0.0, True)\n"
                        "    return torch.linear(y, self.w)\n"));
  EXPECT_EQ(reason(plan), "accepted");
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0], HasSubstr("read by a dropout with p = 0: 1."));
  EXPECT_TRUE(plan_of(make_mlp("torch.gelu(h)", 16, 32, 4)).notes.empty());
}

TEST(PlanTest, ChainedActivations) {
  // The second's input is the first's output, which only the second saves: once the second saves
  // its own output, the first would save it alone. One of the two is a gain, both are not.
  const Plan plan =
      plan_of(with_body("    y = torch.gelu(torch.silu(torch.linear(x, self.w)))\n"
                        "    return torch.linear(y, self.w)\n"));
  ASSERT_EQ(plan.sites.size(), 2u);
  EXPECT_LT(plan.saved_bytes_after, plan.saved_bytes_before);
}

}  // namespace
}  // namespace invact::testing
