// Activations that models write out: which spellings are matched and which are let alone, their
// bytes by hand, and that the rewritten model meets its promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using torch::jit::testing::FileCheck;

struct Spelling {
  const char* expression;  ///< In terms of h.
  const char* op;
  const char* replacement;
};

class SpellingTest : public ::testing::TestWithParam<Spelling> {};

TEST_P(SpellingTest, IsOneOperatorThatSavesItsOutput) {
  const Spelling& spelling = GetParam();
  Rewrite result = rewrite(make_mlp(spelling.expression, kColumns, kHidden, 4));
  ASSERT_THAT(ops(result.plan), ElementsAre(spelling.op));
  const Site& site = result.plan.sites[0];
  EXPECT_TRUE(site.decision.accepted) << site.decision.reason;
  EXPECT_EQ(replacement_of(site.edit), spelling.replacement);
  // The input of the first linear, the output and, but for the monotone ones, a bit per element.
  const int64_t kept = 4 * kRows * (kColumns + kHidden);
  EXPECT_EQ(result.plan.saved_bytes_after,
            kept + (site.strategy == "closed" ? 0 : kRows * kHidden / 8));
  FileCheck()
      .check("aten::linear")
      ->check(spelling.replacement)
      ->check("aten::linear")
      ->check_not("aten::mul")
      ->check_not("aten::tanh")
      ->run(graph_text(result.rewritten));
  expect_verified(result);
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, SpellingTest,
    ::testing::Values(
        Spelling{"0.5 * h * (1.0 + torch.tanh(0.7978845608028654 * (h + 0.044715 * torch.pow(h, "
                 "3.0))))",
                 "written-out gelu", "invact::gelu"},
        Spelling{"0.5 * h * (1 + torch.tanh(h * 0.7978845608 * (1 + 0.044715 * h * h)))",
                 "written-out gelu", "invact::gelu"},
        Spelling{"h * 0.5 * (1.0 + torch.erf(h / 1.4142135623730951))", "written-out gelu",
                 "invact::erf_gelu"},
        Spelling{"0.5 * h * (1 + torch.erf(h * 0.7071067811865476))", "written-out gelu",
                 "invact::erf_gelu"},
        Spelling{"h * torch.sigmoid(h)", "written-out silu", "invact::silu"},
        Spelling{"h / (1 + torch.exp(-h))", "written-out silu", "invact::silu"},
        Spelling{"h * torch.sigmoid(1.702 * h)", "written-out quick_gelu", "invact::quick_gelu"},
        Spelling{"h * torch.tanh(torch.softplus(h))", "written-out mish", "invact::mish"},
        Spelling{"h * torch.tanh(torch.log1p(torch.exp(h)))", "written-out mish", "invact::mish"},
        Spelling{"h * torch.relu6(h + 3) / 6", "written-out hardswish", "invact::hardswish"},
        Spelling{"h * torch.clamp(h + 3, 0, 6) / 6", "written-out hardswish", "invact::hardswish"},
        Spelling{"torch.relu6(h + 3) / 6", "written-out hardsigmoid", "invact::hardsigmoid"},
        // timm's spelling, and that of ReLU6(inplace=True).
        Spelling{"h * torch.relu6(h + 3.).div_(6.)", "written-out hardswish", "invact::hardswish"},
        Spelling{"h * torch.hardtanh_(h + 3, 0., 6.) / 6", "written-out hardswish",
                 "invact::hardswish"},
        Spelling{"torch.hardtanh_(h + 3, 0., 6.).div_(6)", "written-out hardsigmoid",
                 "invact::hardsigmoid"},
        Spelling{"h / (1 + torch.abs(h))", "written-out softsign", "invact::softsign"},
        Spelling{"torch.log1p(torch.exp(h))", "written-out softplus", "invact::softplus"},
        Spelling{"torch.square(torch.relu(h))", "written-out squared_relu", "invact::squared_relu"},
        Spelling{"torch.relu(h) ** 2", "written-out squared_relu", "invact::squared_relu"},
        Spelling{"torch.relu(h).pow(2)", "written-out squared_relu", "invact::squared_relu"},
        Spelling{"torch.relu(h).pow(2.0)", "written-out squared_relu", "invact::squared_relu"},
        Spelling{"torch.clamp(h, min=0) ** 2", "written-out squared_relu",
                 "invact::squared_relu"}));

TEST(WrittenOutTest, AProductOfAReluWithItselfIsItsSquare) {
  Rewrite result =
      rewrite(with_body("    r = torch.relu(torch.linear(x, self.w))\n"
                        "    return torch.linear(r * r, self.w)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out squared_relu"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
  expect_verified(result);
  // The consumer of the ReLU saves it.
  EXPECT_TRUE(rewrite(with_body("    r = torch.relu(torch.linear(x, self.w))\n"
                                "    return torch.linear(r * r, self.w) + r\n"))
                  .plan.sites.empty());
}

TEST(WrittenOutTest, NearMissesAreNoSites) {
  for (const char* expression :
       {"0.5 * h * (1.0 + torch.tanh(0.7978845608 * (h + 0.05 * torch.pow(h, 3.0))))",
        "0.5 * h * (1.0 + torch.tanh(0.7978845608 * (h + 0.044715 * torch.pow(h, 2.0))))",
        "0.5 * h * (1.1 + torch.tanh(0.7978845608 * (h + 0.044715 * torch.pow(h, 3.0))))",
        "h * 0.5 * (1.0 + torch.erf(h / 1.4))", "h * torch.sigmoid(1.7 * h)",
        "h * torch.sigmoid(h + 1)", "h * torch.tanh(h)", "h * h", "2 * h * torch.sigmoid(h)",
        "torch.relu(h) ** 3", "torch.relu(h) ** 2.5", "torch.abs(h) ** 2"}) {
    const Rewrite result = rewrite(make_mlp(expression, kColumns, kHidden, 4));
    EXPECT_TRUE(result.plan.sites.empty()) << expression << ": " << result.plan.sites[0].op;
  }
}

TEST(WrittenOutTest, WhatIsOverwrittenBelongsToTheExpressionAlone) {
  const std::string begin = "    h = torch.linear(x, self.w)\n";
  for (const char* body : {
           // The input itself is overwritten.
           "    return torch.linear(h.mul_(torch.sigmoid(h.detach())), self.w)\n",
           "    return torch.linear(torch.hardtanh_(h, 0., 6.).div(6), self.w)\n",
           // Somebody else reads what is overwritten.
           "    t = h + 3\n"
           "    return torch.linear(h * torch.hardtanh_(t, 0., 6.) / 6, self.w) + t\n",
       }) {
    const Rewrite result = rewrite(with_body(begin + body));
    for (const Site& site : result.plan.sites) {
      EXPECT_THAT(site.op, Not(HasSubstr("written-out"))) << body;
    }
  }
}

TEST(WrittenOutTest, ConstantsOfFewDigitsAreToldFromRounding) {
  const Plan plan =
      rewrite(make_mlp("h * 0.5 * (torch.erf(h / 1.41421) + 1)", kColumns, kHidden, 4)).plan;
  ASSERT_THAT(ops(plan), ElementsAre("written-out gelu"));
  EXPECT_EQ(plan.sites[0].decision.reason_code, "other_values");
  EXPECT_THAT(plan.sites[0].decision.reason, HasSubstr("invact::gelu's"));
}

TEST(WrittenOutTest, TheFunctionIsFoundWithinALongerExpression) {
  Rewrite result = rewrite(make_mlp("(3 * (h * torch.sigmoid(h)))", kColumns, kHidden, 4));
  EXPECT_THAT(ops(result.plan), ElementsAre("written-out silu"));
  Rewrite scaled =
      rewrite(make_mlp("(h * 2 + 1) * torch.sigmoid(h * 2 + 1)", kColumns, kHidden, 4));
  EXPECT_TRUE(scaled.plan.sites.empty());  // two tensors, equal in value
  Rewrite segment =
      rewrite(with_body("    h = torch.linear(x, self.w) * 2\n"
                        "    return torch.linear(h * torch.sigmoid(h), self.w)\n"));
  EXPECT_THAT(ops(segment.plan), ElementsAre("written-out silu"));
  EXPECT_EQ(segment.plan.accepted_count(), 1);
  expect_verified(segment);
}

TEST(WrittenOutTest, AnIntermediateThatSomebodyElseReadsForbidsIt) {
  const Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    s = torch.sigmoid(h)\n"
                        "    return torch.linear(h * s, self.w) + s\n"));
  EXPECT_TRUE(result.plan.sites.empty());
}

TEST(WrittenOutTest, SeveralTensorsAreNoFunctionOfOne) {
  const Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    return torch.linear(h * torch.sigmoid(h + x), self.w)\n"));
  EXPECT_TRUE(result.plan.sites.empty());
}

TEST(WrittenOutTest, AWriteToTheInputInBetweenForbidsIt) {
  const Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    k = h.detach()\n"
                        "    s = torch.sigmoid(h)\n"
                        "    k.mul_(2)\n"
                        "    return torch.linear(h * s, self.w)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out silu"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "input_written");
  EXPECT_THAT(result.plan.sites[0].decision.reason, HasSubstr("aten::mul_"));
}

TEST(WrittenOutTest, AnOperatorWithinALargerPatternHasItsTurnWhereThatIsDropped) {
  // No operator saves the product, but softplus' own output is saved by tanh's consumer.
  const Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    return (h * torch.tanh(torch.softplus(h))).sum()\n"));
  const Site& mish = result.plan.sites.back();
  EXPECT_EQ(mish.op, "written-out mish");
  EXPECT_TRUE(mish.decision.accepted) << mish.decision.reason;  // one tensor instead of three
  const Rewrite excluded =
      rewrite(make_mlp("h * torch.tanh(torch.softplus(h))", kColumns, kHidden, 4),
              {{}, {"mish"}, false, {"output", "closed"}});
  EXPECT_THAT(ops(excluded.plan), ElementsAre("aten::softplus", "written-out mish"));
  EXPECT_EQ(excluded.plan.sites[1].decision.reason_code, "excluded");
}

TEST(WrittenOutTest, NamesOfOnlyAndSkip) {
  const auto module = with_body(
      "    a = torch.silu(torch.linear(x, self.w))\n"
      "    h = torch.linear(a, self.w)\n"
      "    return torch.linear(h * torch.sigmoid(h), self.w)\n");
  const auto accepted = [&module](const char* only) {
    std::vector<std::string> names;
    for (const Site& site : rewrite(module, {{only}, {}, false, {"output", "closed"}}).plan.sites) {
      if (site.decision.accepted) names.push_back(site.op);
    }
    return names;
  };
  EXPECT_THAT(accepted("silu"), ElementsAre("aten::silu", "written-out silu"));
  EXPECT_THAT(accepted("aten::silu"), ElementsAre("aten::silu"));
  EXPECT_THAT(accepted("written-out silu"), ElementsAre("written-out silu"));
  EXPECT_THAT(accepted("gelu"), ElementsAre());
}

TEST(WrittenOutTest, ScriptedConstantsMayBeComputed) {
  Rewrite result = rewrite(
      with_body("    h = torch.linear(x, self.w)\n"
                "    c = (2.0 / 3.141592653589793) ** 0.5\n"
                "    y = 0.5 * h * (1.0 + torch.tanh(c * (h + 0.044715 * torch.pow(h, 3.0))))\n"
                "    return torch.linear(y, self.w)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out gelu"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted);
  expect_verified(result);
}

TEST(WrittenOutTest, InLoopsAndBranchesAndFunctions) {
  for (const char* body : {"    y = x\n"
                           "    for i in range(3):\n"
                           "        h = torch.linear(y, self.w)\n"
                           "        y = h * torch.sigmoid(h)\n"
                           "    return torch.linear(y, self.w)\n",
                           "    h = torch.linear(x, self.w)\n"
                           "    if h.size(0) > 2:\n"
                           "        h = h * torch.sigmoid(h)\n"
                           "    return torch.linear(h, self.w)\n"}) {
    Rewrite result = rewrite(with_body(body));
    ASSERT_THAT(ops(result.plan), ElementsAre("written-out silu")) << body;
    EXPECT_TRUE(result.plan.sites[0].decision.accepted)
        << body << result.plan.sites[0].decision.reason;
    expect_verified(result);
  }
}

TEST(WrittenOutTest, RestoreGivesBackHowItWasWritten) {
  for (const char* expression :
       {"0.5 * h * (1.0 + torch.tanh(0.7978845608 * (h + 0.044715 * torch.pow(h, 3.0))))",
        "h * torch.sigmoid(h)"}) {
    const Rewrite result = rewrite(make_mlp(expression, kColumns, kHidden, 4));
    const Model loaded = restored(result.rewritten);
    EXPECT_EQ(graph_text(loaded), graph_text(result.model));
    EXPECT_EQ(loaded.module.get_methods().size(), result.model.module.get_methods().size());
  }
}

TEST(WrittenOutTest, ARewriteOfARewriteStoresTheFirstOriginal) {
  const auto module = with_body(
      "    a = torch.linear(x, self.w)\n"
      "    h = torch.linear(a * torch.sigmoid(a), self.w)\n"
      "    return torch.linear(h * torch.sigmoid(1.702 * h), self.w)\n");
  const Rewrite first = rewrite(module, {{"silu"}, {}, false, {"output", "closed"}});
  EXPECT_EQ(first.plan.accepted_count(), 1);
  const Rewrite second = rewrite(first.rewritten.module);
  EXPECT_EQ(second.plan.accepted_count(), 1);
  EXPECT_EQ(graph_text(restored(second.rewritten)), graph_text(first.model));
}

}  // namespace
}  // namespace invact::testing
