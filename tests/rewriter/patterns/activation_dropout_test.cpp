// An activation before a dropout: which pairs become one operator and which are let alone, their
// bytes by hand, and that the rewritten model meets its promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using torch::jit::testing::FileCheck;

constexpr int64_t kElements = kRows * kColumns;
constexpr int64_t kTensor = 4 * kElements;
constexpr int64_t kBits = kElements / 8;

struct Pair {
  const char* activation;  ///< In terms of h.
  const char* op;
  const char* replacement;
  bool has_branch_bit;
};

class PairTest : public ::testing::TestWithParam<Pair> {};

TEST_P(PairTest, IsOneOperatorThatSavesItsOutputAndBits) {
  const Pair& pair = GetParam();
  Rewrite result = rewrite(
      with_lines(std::string("    y = torch.dropout(") + pair.activation + ", 0.25, True)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre(pair.op));
  const Site& site = result.plan.sites[0];
  EXPECT_TRUE(site.decision.accepted) << site.decision.reason;
  EXPECT_EQ(replacement_of(site.edit), pair.replacement);
  // x, h and the mask, and what the second linear saves; then x, that, and bits.
  EXPECT_EQ(result.plan.saved_bytes_before, 4 * kTensor);
  EXPECT_EQ(result.plan.saved_bytes_after, 2 * kTensor + (pair.has_branch_bit ? 2 : 1) * kBits);
  FileCheck()
      .check("aten::linear")
      ->check(pair.replacement)
      ->check("aten::linear")
      ->check_not("aten::dropout")
      ->run(graph_text(result.rewritten));
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
  EXPECT_EQ(verification.outputs.at(0).max_abs_error, 0);
  EXPECT_EQ(graph_text(restored(result.rewritten)), graph_text(result.model));
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, PairTest,
    ::testing::Values(
        Pair{"torch.gelu(h)", "aten::gelu + aten::dropout", "invact::gelu_dropout", true},
        Pair{"torch.gelu(h, approximate='tanh')", "aten::gelu + aten::dropout",
             "invact::gelu_dropout", true},
        Pair{"torch.silu(h)", "aten::silu + aten::dropout", "invact::silu_dropout", true},
        Pair{"torch.mish(h)", "aten::mish + aten::dropout", "invact::mish_dropout", true},
        Pair{"torch.hardswish(h)", "aten::hardswish + aten::dropout", "invact::hardswish_dropout",
             true},
        Pair{"torch.elu(h, 0.5)", "aten::elu + aten::dropout", "invact::elu_dropout", false},
        Pair{"torch.leaky_relu(h, 0.2)", "aten::leaky_relu + aten::dropout",
             "invact::leaky_relu_dropout", false},
        Pair{"torch.softplus(h)", "aten::softplus + aten::dropout", "invact::softplus_dropout",
             false}));

TEST(ActivationDropoutTest, TrainingMayBeDecidedAtRunTime) {
  for (const auto& [training, dropped] :
       {std::pair("x.size(0) > 2", true), std::pair("x.size(0) > 1000", false)}) {
    Rewrite result = rewrite(with_lines(std::string("    t = ") + training +
                                        "\n"
                                        "    y = torch.dropout(torch.gelu(h), 0.25, t)\n"));
    EXPECT_EQ(result.plan.sites[0].op, "aten::gelu + aten::dropout");
    EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
    EXPECT_EQ(result.plan.saved_bytes_after, 2 * kTensor + (dropped ? 2 : 1) * kBits);
    expect_verified(result);
  }
}

TEST(ActivationDropoutTest, OthersThanThePairAreNoSuchSites) {
  struct NearMiss {
    const char* lines;
    std::vector<std::string> ops;
  };
  for (const NearMiss& miss : {
           // another operator reads the activation's result
           NearMiss{"    a = torch.gelu(h)\n    y = torch.dropout(a, 0.25, True) + a\n",
                    {"aten::gelu", "aten::dropout"}},
           NearMiss{"    a = torch.gelu(h)\n"
                    "    y = torch.dropout(a, 0.25, True) + torch.dropout(a, 0.25, True)\n",
                    {"aten::gelu", "aten::dropout", "aten::dropout"}},
           NearMiss{"    y = torch.dropout(torch.gelu(h) * 2, 0.25, True)\n",
                    {"aten::gelu", "aten::dropout"}},
           // nothing is dropped, or everything, or only the run decides
           NearMiss{"    y = torch.dropout(torch.gelu(h), 0.0, True)\n", {"aten::gelu"}},
           NearMiss{"    y = torch.dropout(torch.gelu(h), 1.0, True)\n", {"aten::gelu"}},
           NearMiss{"    y = torch.dropout(torch.gelu(h), 0.25, False)\n", {"aten::gelu"}},
           NearMiss{"    y = torch.dropout(torch.gelu(h), 0.01 * float(x.size(0)), True)\n",
                    {"aten::gelu", "aten::dropout"}},
           // in place
           NearMiss{"    y = torch.dropout(torch.silu_(h), 0.25, True)\n",
                    {"aten::silu_", "aten::dropout"}},
           NearMiss{"    y = torch.dropout_(torch.silu(h), 0.25, True)\n",
                    {"aten::silu", "aten::dropout_"}},
           // an output that does not determine the derivative; a function that saves its own
           NearMiss{"    y = torch.dropout(torch.elu(h, -1.0), 0.25, True)\n",
                    {"aten::elu", "aten::dropout"}},
           NearMiss{"    y = torch.dropout(torch.relu(h), 0.25, True)\n", {"aten::dropout"}},
           NearMiss{"    y = torch.gelu(torch.dropout(h, 0.25, True))\n",
                    {"aten::dropout", "aten::gelu"}},
       }) {
    Rewrite result = rewrite(with_lines(miss.lines));
    EXPECT_EQ(ops(result.plan), miss.ops) << miss.lines;
    expect_verified(result);
  }
}

/// Its forward calls a module whose code holds the dropout.
torch::jit::Module with_module_of_dropout() {
  const auto drop =
      make_module("Drop", {}, "def forward(self, y):\n    return torch.dropout(y, 0.25, True)\n");
  torch::jit::Module module("Outer");
  module.register_parameter("w", parameter({kColumns, kColumns}), /*is_buffer=*/false);
  module.register_module("drop", drop);
  module.define(
      "def forward(self, x):\n"
      "    h = torch.linear(x, self.w)\n"
      "    return torch.linear(self.drop.forward(torch.gelu(h)), self.w)\n");
  return module;
}

TEST(ActivationDropoutTest, AnotherModulesDropoutIsASiteOfItsOwn) {
  Rewrite result = rewrite(with_module_of_dropout());
  EXPECT_THAT(ops(result.plan), ElementsAre("aten::gelu", "aten::dropout"));
  expect_verified(result);
}

TEST(ActivationDropoutTest, WhereNoOtherOperatorSavesTheOutputTheDropoutAloneFreesMore) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    return torch.dropout(torch.gelu(h), 0.25, True).sum()\n"));
  // The pair would save its output, which no other operator does, and a bit more.
  ASSERT_THAT(ops(result.plan),
              ElementsAre("aten::gelu", "aten::gelu + aten::dropout", "aten::dropout"));
  EXPECT_EQ(result.plan.sites[1].decision.reason_code, "output_not_kept");
  EXPECT_EQ(result.plan.sites[1].saved_bytes_delta, 2 * kBits - kTensor);
  EXPECT_TRUE(result.plan.sites[2].decision.accepted) << result.plan.sites[2].decision.reason;
  EXPECT_EQ(result.plan.sites[2].saved_bytes_delta, kBits - kTensor);
  expect_verified(result);
}

TEST(ActivationDropoutTest, AWriteToTheOutputLeavesTheDropoutItsTurn) {
  Rewrite result =
      rewrite(with_lines("    y = torch.dropout(torch.gelu(h), 0.25, True)\n"
                         "    y.add_(1)\n"));
  ASSERT_THAT(ops(result.plan),
              ElementsAre("aten::gelu", "aten::gelu + aten::dropout", "aten::dropout"));
  EXPECT_EQ(result.plan.sites[1].decision.reason_code, "output_written");
  EXPECT_TRUE(result.plan.sites[2].decision.accepted) << result.plan.sites[2].decision.reason;
  expect_verified(result);
}

TEST(ActivationDropoutTest, NamesOfOnlyAndSkip) {
  const auto module = with_lines("    y = torch.dropout(torch.gelu(h), 0.25, True)\n");
  const auto accepted = [&module](const PlanOptions& options) {
    std::vector<std::string> names;
    for (const Site& site : rewrite(module, options).plan.sites) {
      if (site.decision.accepted) names.push_back(site.op);
    }
    return names;
  };
  for (const char* name : {"gelu_dropout", "invact::gelu_dropout", "aten::gelu + aten::dropout"}) {
    EXPECT_THAT(accepted({{name}, {}, false, {"output", "closed"}}),
                ElementsAre("aten::gelu + aten::dropout"))
        << name;
    EXPECT_THAT(accepted({{}, {name}, false, {"output", "closed"}}), ElementsAre("aten::dropout"))
        << name;
  }
  EXPECT_THAT(accepted({{}, {"gelu"}, false, {"output", "closed"}}), ElementsAre("aten::dropout"));
  EXPECT_THAT(accepted({{}, {"aten::dropout"}, false, {"output", "closed"}}), ElementsAre());
  EXPECT_THAT(accepted({{"silu_dropout"}, {}, false, {"output", "closed"}}), ElementsAre());
}

TEST(ActivationDropoutTest, InLoopsAndBranches) {
  for (const char* body : {"    y = x\n"
                           "    for i in range(3):\n"
                           "        h = torch.linear(y, self.w)\n"
                           "        y = torch.dropout(torch.silu(h), 0.1, True)\n"
                           "    return torch.linear(y, self.w)\n",
                           "    h = torch.linear(x, self.w)\n"
                           "    if h.size(0) > 2:\n"
                           "        h = torch.dropout(torch.silu(h), 0.1, True)\n"
                           "    return torch.linear(h, self.w)\n"}) {
    Rewrite result = rewrite(with_body(body));
    ASSERT_THAT(ops(result.plan), ElementsAre("aten::silu + aten::dropout")) << body;
    EXPECT_TRUE(result.plan.sites[0].decision.accepted)
        << body << result.plan.sites[0].decision.reason;
    expect_verified(result);
  }
}

}  // namespace
}  // namespace invact::testing
