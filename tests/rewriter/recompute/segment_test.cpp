// Recompute segments: which segments are found, what they save by hand, and that the rewritten
// model computes the same bits.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/editing/apply.h"
#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using torch::jit::testing::FileCheck;

constexpr int64_t kTensor = 4 * kRows * kColumns;
constexpr int64_t kBits = kRows * kColumns / 8;

int64_t freed(const Plan& plan) {
  return plan.saved_bytes_before - plan.saved_bytes_after;
}

TEST(SegmentTest, AnActivationBetweenLinearsSavesItsInputAlone) {
  Rewrite result = rewrite(with_lines("    y = torch.gelu(h)\n"), exact());
  ASSERT_THAT(ops(result.plan), ElementsAre("gelu"));
  EXPECT_EQ(result.plan.sites[0].saved_bytes_delta, -kTensor);
  EXPECT_EQ(freed(result.plan), kTensor);
  expect_same_bits(result);
  FileCheck()
      .check("invact::recompute")
      ->check("aten::linear")
      ->check("invact::release")
      ->run(graph_text(result.rewritten));
}

TEST(SegmentTest, NormActivationAndGateAreOneSegment) {
  Rewrite result =
      rewrite(with_lines("    n = torch.silu(torch.layer_norm(h, [16], self.g, self.b))\n"
                         "    y = n * torch.sigmoid(n)\n"),
              exact());
  EXPECT_THAT(ops(result.plan), ElementsAre("layer_norm, silu, sigmoid, mul"));
  // Of h, its norm, n, sigmoid(n), the product and two numbers per row, h is left.
  EXPECT_EQ(freed(result.plan), 4 * kTensor + 2 * 4 * kRows);
  expect_same_bits(result);
}

TEST(SegmentTest, AnInPlaceOperatorMayWriteWhatTheSegmentMade) {
  Rewrite result = rewrite(
      with_lines("    y = torch.relu_(torch.layer_norm(h, [16], self.g, self.b))\n"), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, relu"));
  expect_same_bits(result);
}

TEST(SegmentTest, AndNothingElse) {
  const Rewrite result = rewrite(with_lines("    y = torch.silu_(h)\n"), exact());
  EXPECT_THAT(segments(result.plan), IsEmpty());
}

TEST(SegmentTest, AGateOfTwoLinearsIsRunAgainFromBoth) {
  Rewrite result = rewrite(with_body("    h = torch.linear(x, self.w)\n"
                                     "    u = torch.linear(x, self.w, self.b)\n"
                                     "    return torch.linear(torch.silu(h) * u, self.w)\n"),
                           PlanOptions{});
  EXPECT_THAT(segments(result.plan), ElementsAre("silu, mul"));
  EXPECT_EQ(freed(result.plan), 2 * kTensor);
  expect_same_bits(result);
}

TEST(SegmentTest, AResidualSumFeedsASegmentAndIsNoPartOfOne) {
  Rewrite result = rewrite(with_body("    h = torch.linear(x, self.w)\n"
                                     "    z = h + torch.linear(torch.gelu(h), self.w)\n"
                                     "    n = torch.layer_norm(z, [16], self.g, self.b)\n"
                                     "    return z + torch.linear(n, self.w)\n"),
                           exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("gelu", "layer_norm"));
  EXPECT_EQ(freed(result.plan), 2 * kTensor + 2 * 4 * kRows);
  expect_same_bits(result);
}

TEST(SegmentTest, ASumOfOneTensorsFunctionsIsPartOfOne) {
  Rewrite result =
      rewrite(with_lines("    y = 0.5 * h * (1.0 + torch.tanh(0.7978845608 * (h + 0.044715 * "
                         "torch.pow(h, 3))))\n"),
              exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("mul, pow, add, tanh"));
  expect_same_bits(result);
}

TEST(SegmentTest, GradientsOfOneTensorAreAddedInTheSameOrder) {
  // The norm reads z twice, and the residual sum once more.
  Rewrite result =
      rewrite(with_body("    z = torch.linear(x, self.w)\n"
                        "    n = z * torch.rsqrt(torch.mean(z * z, [-1], True) + 1e-5)\n"
                        "    return torch.linear(z + torch.linear(n * self.g, self.w), self.w)\n"),
              exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("mul, mean, add, rsqrt"));
  expect_same_bits(result);
}

TEST(SegmentTest, GradientsThatComeThroughViewsAreAddedInTheSameOrder) {
  // Rotary embedding: halves of q in each other's places. The order decides how q's gradient lies
  // in memory, and with it the order in which that of g is summed.
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w).view([2, 64, 2, 8])\n"
                        "    q = (h * torch.rsqrt(torch.mean(h * h, [-1], True)) * self.g[:8])\n"
                        "    q = q.transpose(1, 2)\n"
                        "    half = q.size(3) // 2\n"
                        "    y = q * 0.5 + torch.cat([-q[..., half:], q[..., :half]], -1) * 0.25\n"
                        "    return torch.scaled_dot_product_attention(y, y, y)\n"),
              exact(), {2, 64, 16});
  EXPECT_THAT(segments(result.plan), Contains("mul, neg, cat, add"));
  expect_same_bits(result);
}

TEST(SegmentTest, AConsumerInBetweenWouldBeAddedInAnotherOrder) {
  // Of three gradients of h today's order adds the norm's last.
  const torch::jit::Module module = with_body(
      "    h = torch.linear(x, self.w)\n"
      "    n = torch.layer_norm(h, [16], self.g, self.b)\n"
      "    u = torch.linear(h, self.w, self.b)\n"
      "    y = torch.linear(torch.silu(n), self.w)\n"
      "    return torch.linear(h + u + y, self.w)\n");
  Rewrite in_exact = rewrite(module, exact());
  EXPECT_THAT(segments(in_exact.plan), IsEmpty());
  expect_same_bits(in_exact);
  Rewrite result = rewrite(module, PlanOptions{});
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, silu"));
  expect_verified(result);
}

TEST(SegmentTest, SeveralConsumersAndViewsOfTheResult) {
  Rewrite result =
      rewrite(with_body("    y = torch.gelu(torch.linear(x, self.w))\n"
                        "    a = torch.linear(y.view([2, 4, 16]), self.w).view([8, 16])\n"
                        "    b = torch.linear(y, self.w, self.b)\n"
                        "    return (a * b).sum() + y.sum()\n"),
              exact());
  EXPECT_THAT(segments(result.plan), Contains("gelu"));
  expect_same_bits(result);
  // The sum reads it last.
  FileCheck()
      .check("aten::sum")
      ->check("aten::sum")
      ->check("invact::release")
      ->run(graph_text(result.rewritten));
}

TEST(SegmentTest, WhatEscapesIsNotGivenBack) {
  Rewrite result = rewrite(
      with_body("    y = torch.silu(torch.layer_norm(torch.linear(x, self.w), [16], self.g, "
                "self.b))\n"
                "    return torch.linear(y, self.w), y\n"),
      exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, silu"));
  // The norm's output and its two numbers per row; y is the caller's.
  EXPECT_EQ(freed(result.plan), kTensor + 2 * 4 * kRows);
  expect_same_bits(result);
  FileCheck()
      .check("invact::recompute")
      ->check_not("invact::release")
      ->run(graph_text(result.rewritten));
}

TEST(SegmentTest, WhatIsWrittenLaterIsNoSegment) {
  const Rewrite output = rewrite(with_body("    y = torch.gelu(torch.linear(x, self.w))\n"
                                           "    z = torch.linear(y, self.w)\n"
                                           "    return z, y.add_(1.0)\n"),
                                 exact());
  EXPECT_THAT(segments(output.plan), IsEmpty());
  const Rewrite input = rewrite(with_body("    h = torch.linear(x, self.w)\n"
                                          "    z = torch.linear(torch.sigmoid(h), self.w)\n"
                                          "    return z, h.add_(1.0)\n"),
                                exact());
  EXPECT_THAT(segments(input.plan), IsEmpty());
}

TEST(SegmentTest, DropoutSavesABitPerElement) {
  Rewrite result =
      rewrite(with_lines("    y = torch.dropout(torch.gelu(h), 0.25, True)\n"), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("gelu, dropout"));
  // Of h, a mask in float32 and y, h and the bits are left.
  EXPECT_EQ(freed(result.plan), 2 * kTensor - kBits);
  expect_same_bits(result);
}

TEST(SegmentTest, ADropoutDoesNotChangePlacesWithAnother) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    a = torch.dropout(h, 0.5, True)\n"
                        "    u = torch.dropout(torch.linear(x, self.w, self.b), 0.5, True)\n"
                        "    y = torch.silu(a) * torch.linear(u, self.w)\n"
                        "    return torch.linear(y, self.w)\n"),
              exact());
  expect_same_bits(result);
}

/// Something is written between a segment's first node and its last, in front of the one that reads
/// `scale` or behind it.
Rewrite rewrite_counting(const std::string& in_front, const std::string& behind) {
  torch::jit::Module module =
      make_module("Counting", {{"w", parameter({16, 16})}, {"v", parameter({16, 32})}}, "");
  module.register_buffer("count", at::zeros({1}));
  module.register_buffer("scale", at::ones({32}));
  module.define(
      "def forward(self, x):\n"
      "    h = torch.cat([torch.linear(x, self.w), torch.linear(x, self.w)], 1)\n"
      "    written = torch.add_(self." +
      in_front +
      ", 1)\n"
      "    h = torch.layer_norm(h, [32]) * self.scale.view([1, 32])\n"
      "    written_behind = torch.add_(self." +
      behind +
      ", 1)\n"
      "    y = torch.linear(torch.relu(h), self.v)\n"
      "    written_later = torch.add_(self.count, 1)\n"
      "    return y\n");
  return rewrite(module, exact());
}

TEST(SegmentTest, ACounterInBetweenIsNoWriteToWhatTheSegmentReads) {
  Rewrite result = rewrite_counting("count", "count");
  EXPECT_THAT(segments(result.plan), ElementsAre("cat, layer_norm, mul, relu"));
  expect_same_bits(result);
}

TEST(SegmentTest, NeitherIsOneToWhatNoneOfItHasReadYet) {
  Rewrite result = rewrite_counting("scale", "count");
  EXPECT_THAT(segments(result.plan), ElementsAre("cat, layer_norm, mul, relu"));
  expect_same_bits(result);
}

TEST(SegmentTest, AWriteToOneOfItsAttributesIs) {
  const Rewrite result = rewrite_counting("count", "scale");
  EXPECT_THAT(segments(result.plan), IsEmpty());
}

TEST(SegmentTest, InstanceNormWithoutStatisticsOfItsOwn) {
  Rewrite result = rewrite(
      with_lines(
          "    n = torch.instance_norm(h, self.g, self.b, None, None, True, 0.1, 1e-5, False)\n"
          "    y = torch.relu(n)\n"),
      exact(), {2, 16, 16});
  EXPECT_THAT(segments(result.plan), ElementsAre("instance_norm, relu"));
  expect_same_bits(result);
}

TEST(SegmentTest, InstanceNormThatUpdatesThemIsNoPartOfOne) {
  Rewrite result = rewrite(
      with_lines("    n = torch.instance_norm(h, self.g, self.b, self.frozen, self.frozen, False, "
                 "0.1, 1e-5, False)\n"
                 "    y = torch.relu(n)\n"),
      exact(), {2, 16, 16});
  EXPECT_THAT(segments(result.plan), IsEmpty());
  expect_same_bits(result);
}

constexpr const char* kBatchNorm = R"(
def forward(self, x):
    h = torch.conv2d(x, self.k)
    n = torch.batch_norm(h, self.g, self.b, self.mean, self.var, %s, 0.1, 1e-5, False)
    return torch.conv2d(torch.relu(n), self.k)
)";

torch::jit::Module with_statistics(const std::string& source) {
  torch::jit::Module module = make_module(
      "BatchNorm", {{"k", parameter({4, 4, 3, 3})}, {"g", parameter({4})}, {"b", parameter({4})}},
      "");
  for (const char* const mean : {"mean", "other_mean"}) {
    module.register_buffer(mean, at::zeros({4}));
  }
  for (const char* const var : {"var", "other_var"}) module.register_buffer(var, at::ones({4}));
  module.define(source);
  return module;
}

torch::jit::Module batch_norm(const std::string& training) {
  std::string source = kBatchNorm;
  source.replace(source.find("%s"), 2, training);
  return with_statistics(source);
}

TEST(SegmentTest, BatchNormUpdatesItsStatisticsOnce) {
  Rewrite result = rewrite(batch_norm("True"), exact(), {2, 4, 12, 12});
  EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm, relu"));
  expect_same_bits(result);
  const auto statistics = [&result](Model& model) {
    const at::Tensor output = model.module.forward(result.inputs.values).toTensor();
    output.sum().backward();
    return model.module.attr("mean").toTensor();
  };
  EXPECT_TRUE(at::equal(statistics(result.model), statistics(result.rewritten)));
}

/// Two branches that are joined: between the first one's nodes stands the second one's batch norm.
torch::jit::Module branches(const std::string& mean, const std::string& var) {
  return with_statistics(R"(
def forward(self, x):
    n = torch.batch_norm(torch.conv2d(x, self.k), self.g, self.b, self.mean, self.var, True, 0.1,
                         1e-5, False)
    m = torch.batch_norm(torch.conv2d(x, self.k), self.g, self.b, self.)" +
                         mean + ", self." + var + R"(, True, 0.1, 1e-5, False)
    y = torch.cat([torch.relu_(n), torch.conv2d(m, self.k, None, 1, 1)])
    return torch.conv2d(y, self.k)
)");
}

TEST(SegmentTest, ABatchNormInBetweenWritesItsOwnStatisticsAlone) {
  Rewrite result = rewrite(branches("other_mean", "other_var"), exact(), {2, 4, 12, 12});
  EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm", "batch_norm, relu, cat"));
  expect_same_bits(result);
}

TEST(SegmentTest, OneThatWritesTheSegmentsStatisticsMustNotChangePlacesWithIt) {
  Rewrite result = rewrite(branches("mean", "var"), exact(), {2, 4, 12, 12});
  EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm"));
  expect_same_bits(result);
}

TEST(SegmentTest, BatchNormThatMayNotTrainSavesTheStatisticsItRead) {
  Rewrite result = rewrite(batch_norm("self.training"), exact(), {2, 4, 12, 12});
  EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm, relu"));
  expect_same_bits(result);
  const auto gradient = [&result](Model& model) {
    torch::jit::Module& module = model.module;
    module.eval();
    const at::Tensor output = module.forward(result.inputs.values).toTensor();
    {
      // Another step between, as micro-batches make it: the original's backward would refuse.
      const at::NoGradGuard no_grad;
      if (&model == &result.rewritten) module.attr("mean").toTensor().add_(1);
    }
    output.sum().backward();
    return module.attr("k").toTensor().grad();
  };
  EXPECT_TRUE(at::equal(gradient(result.model), gradient(result.rewritten)));
}

TEST(SegmentTest, AnOutputThatDoesGoesBeforeRunningAgain) {
  Rewrite result = rewrite(with_lines("    y = torch.gelu(h)\n"), PlanOptions{});
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::gelu"));
  EXPECT_EQ(result.plan.sites[0].strategy, "output");
  PlanOptions again;
  again.strategies = {"recompute"};
  EXPECT_THAT(segments(rewrite(with_lines("    y = torch.gelu(h)\n"), again).plan),
              ElementsAre("gelu"));
}

TEST(SegmentTest, LeftAloneByName) {
  const auto module = with_lines("    y = torch.gelu(h)\n");
  PlanOptions options = exact();
  options.skip = {"gelu"};
  EXPECT_EQ(rewrite(module, options).plan.accepted_count(), 0);
  options.skip = {"recompute"};
  EXPECT_EQ(rewrite(module, options).plan.accepted_count(), 0);
  options.skip = {};
  options.only = {"recompute"};
  const Plan plan = rewrite(module, options).plan;
  EXPECT_EQ(plan.accepted_count(), 1);
  PlanOptions decided;
  decided.decisions = {{plan.sites[0].id, true}};
  EXPECT_EQ(rewrite(module, decided).plan.accepted_count(), 1);
  decided.decisions = {{plan.sites[0].id, false}};
  EXPECT_EQ(rewrite(module, decided).plan.accepted_count(), 0);
}

}  // namespace
}  // namespace invact::testing
