// Norms, written out or not, and dropout: what is matched and what is let alone, their bytes by
// hand, and that the rewritten model meets its promises.
#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using torch::jit::testing::FileCheck;

TEST(NormTest, LayerNormSavesItsOutputAndANumberPerRow) {
  Rewrite result = rewrite(with_lines("    y = torch.layer_norm(h, [16], self.g, self.b)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::layer_norm"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
  // Input and one of two numbers per row are freed.
  EXPECT_EQ(result.plan.sites[0].saved_bytes_delta, -4 * kRows * (kColumns + 1));
  expect_verified(result);
}

TEST(NormTest, RmsNormToo) {
  Rewrite result = rewrite(with_lines("    y = torch.rms_norm(h, [16], self.g, 1e-5)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::rms_norm"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
  expect_verified(result);
}

/// x: [8, 4, 16].
Rewrite rewrite_tokens(const std::string& body, const PlanOptions& options = from_outputs()) {
  return rewrite(with_body(body), options, {kRows, 4, kColumns});
}

TEST(NormTest, WhatALinearReadsTransposedIsLaidOutForIt) {
  const std::string body =
      "    h = torch.linear(x, self.w)\n"
      "    y = torch.layer_norm(h, [16], self.g, self.b).transpose(0, 1)\n"
      "    return torch.linear(y, self.w, self.b)\n";
  constexpr int64_t kTensor = 4 * kRows * 4 * kColumns;
  Rewrite result = rewrite_tokens(body);
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::layer_norm"));
  const Site& site = result.plan.sites[0];
  EXPECT_TRUE(site.decision.accepted) << site.decision.reason;
  EXPECT_EQ(replacement_of(site.edit), "invact::layer_norm_transposed");
  EXPECT_EQ(site.saved_bytes_delta, -kTensor - 4 * kRows * 4);
  ASSERT_EQ(result.plan.notes.size(), 1u);
  expect_verified(result);
  EXPECT_EQ(graph_text(restored(result.rewritten)), graph_text(result.model));
  // Of the plain form only the second number per row is gained: the copy is saved all the same.
  PlanOptions options = from_outputs();
  options.skip = {"layer_norm_transposed"};
  const Rewrite plain = rewrite_tokens(body, options);
  ASSERT_EQ(plain.plan.sites.size(), 1u);
  EXPECT_EQ(replacement_of(plain.plan.sites[0].edit), "invact::layer_norm");
  EXPECT_EQ(plain.plan.sites[0].saved_bytes_delta, -4 * kRows * 4);
}

TEST(NormTest, ATransposeThatCostsNoCopyIsLetAlone) {
  for (const char* consumer :
       {"y.transpose(0, 1)", "torch.linear(y.transpose(0, 1), self.w) + y.transpose(0, 1)",
        "torch.linear(y.transpose(0, 1) * 2, self.w)", "torch.linear(y, self.w)"}) {
    const Rewrite result = rewrite_tokens(
        std::string("    y = torch.layer_norm(torch.linear(x, self.w), [16], self.g, self.b)\n"
                    "    return ") +
        consumer + "\n");
    ASSERT_EQ(result.plan.sites.size(), 1u) << consumer;
    EXPECT_EQ(replacement_of(result.plan.sites[0].edit), "invact::layer_norm") << consumer;
  }
}

constexpr const char* kBottleneck = R"(
def forward(self, x):
    h = torch.conv2d(x, self.k)
    n = torch.batch_norm(h, self.g, self.b, self.mean, self.var, self.training, 0.1, 1e-5, False)
    return torch.conv2d(%s, self.k)
)";

Rewrite rewrite_bottleneck(const std::string& read, const at::Tensor& weight,
                           const PlanOptions& options) {
  torch::jit::Module module = make_module(
      "Bottleneck", {{"k", parameter({4, 4, 3, 3})}, {"g", weight}, {"b", parameter({4})}}, "");
  module.register_buffer("mean", at::zeros({4}));
  module.register_buffer("var", at::ones({4}));
  std::string source = kBottleneck;
  module.define(source.replace(source.find("%s"), 2, read));
  return rewrite(module, options, {2, 4, 12, 12});
}

constexpr int64_t kImage = 4 * 2 * 4 * 10 * 10;

TEST(NormTest, BatchNormBetweenConvolutionsSavesItsOutput) {
  Rewrite result = rewrite_bottleneck("n", at::full({4}, 0.5), from_outputs());
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::batch_norm"));
  EXPECT_EQ(replacement_of(result.plan.sites[0].edit), "invact::batch_norm");
  // The input and one of two numbers per channel.
  EXPECT_EQ(result.plan.sites[0].saved_bytes_delta, -kImage - 4 * 4);
  expect_verified(result);
  EXPECT_EQ(graph_text(restored(result.rewritten)), graph_text(result.model));
}

TEST(NormTest, ASegmentThatDoesNotDependOnBatchNormsWeightGoesFirst) {
  for (const double weight : {0.0, 0.5}) {
    Rewrite result = rewrite_bottleneck("n", at::full({4}, weight), {});
    EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm"));
    EXPECT_EQ(result.plan.saved_bytes_before - result.plan.saved_bytes_after, kImage);
    expect_same_bits(result);
  }
  const Rewrite output = rewrite_bottleneck("n", at::zeros({4}), from_outputs());
  EXPECT_EQ(output.plan.sites[0].decision.reason_code, "weights_hide_input");
}

TEST(NormTest, ABudgetSparesBatchNormsSegment) {
  PlanOptions options;
  options.budget = [](int64_t before) { return before - kImage; };
  const Rewrite result = rewrite_bottleneck("n", at::full({4}, 0.5), options);
  EXPECT_THAT(segments(result.plan), ::testing::IsEmpty());
  EXPECT_EQ(result.plan.saved_bytes_before - result.plan.saved_bytes_after, kImage + 4 * 4);
}

TEST(NormTest, BatchNormBeforeAnActivationLeavesItsOutputToNobody) {
  const Rewrite result = rewrite_bottleneck("torch.relu(n)", at::full({4}, 0.5), from_outputs());
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "output_not_kept");
}

TEST(NormTest, WithoutWeightsTheOutputTellsAll) {
  Rewrite result = rewrite(with_lines("    y = torch.layer_norm(h, [16])\n"));
  EXPECT_EQ(result.plan.accepted_count(), 1);
  expect_verified(result);
}

TEST(NormTest, WeightsThatHideTheInputForbidIt) {
  const Rewrite result =
      rewrite(with_lines("    y = torch.layer_norm(h, [16], self.zeros, self.b)\n"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "weights_hide_input");
}

TEST(NormTest, WhereOnlyTheBiasIsTrainedTheInputIsSaved) {
  const Rewrite result = rewrite(with_body(
      "    return torch.linear(torch.layer_norm(x, [16], self.frozen, self.b), self.w)\n"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "input_not_needed");
  Rewrite deeper = rewrite(with_lines("    y = torch.layer_norm(h, [16], self.frozen, self.b)\n"));
  EXPECT_EQ(deeper.plan.accepted_count(), 1);
  expect_verified(deeper);
}

TEST(NormTest, WeightsThatOnlyTheRunTellsForbidIt) {
  const Rewrite result =
      rewrite(with_lines("    y = torch.layer_norm(h, [16], self.g * 2, self.b)\n"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "parameters_unknown");
}

TEST(NormTest, AnOutputThatNoOperatorSavesGainsNothing) {
  const Rewrite result = rewrite(with_body(
      "    return torch.layer_norm(torch.linear(x, self.w), [16], self.g, self.b).sum()\n"));
  // What would be freed, the second number per row, is less than nothing gained for a tensor.
  EXPECT_EQ(result.plan.sites[0].saved_bytes_delta, -4 * kRows);
}

class RmsNormSpellingTest : public ::testing::TestWithParam<const char*> {};

TEST_P(RmsNormSpellingTest, IsOneOperatorThatSavesItsOutput) {
  Rewrite result = rewrite(with_lines(GetParam()));
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out rms_norm"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
  // x, y and a number per row.
  EXPECT_EQ(result.plan.saved_bytes_after, 4 * kRows * (2 * kColumns + 1));
  FileCheck()
      .check("invact::rms_norm_cast")
      ->check_not("aten::rsqrt")
      ->run(graph_text(result.rewritten));
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
  EXPECT_EQ(verification.outputs.at(0).max_abs_error, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, RmsNormSpellingTest,
    ::testing::Values(
        // LLaMA
        "    t = torch.to(h, 6)\n"
        "    v = t.pow(2).mean(-1, keepdim=True)\n"
        "    y = self.g * torch.to(t * torch.rsqrt(v + 1e-6), h.dtype)\n",
        // T5
        "    v = torch.to(h, 6).pow(2).mean(-1, keepdim=True)\n"
        "    y = self.g * (h * torch.rsqrt(v + 1e-6))\n",
        // Gemma
        "    t = torch.to(h, 6)\n"
        "    n = t * torch.rsqrt(t.pow(2).mean(-1, keepdim=True) + 1e-6)\n"
        "    y = (n * (torch.to(self.g, 6) + 1.0)).type_as(h)\n",
        // without casts, a square as a product, the factors turned around
        "    y = torch.rsqrt((h * h).mean(-1, keepdim=True) + 1e-6) * h * self.g\n"));

TEST(NormTest, NearMissesOfRmsNormAreNoSites) {
  for (const char* norm :
       {"    y = self.g * (h * torch.rsqrt(h.pow(2).mean(0, keepdim=True) + 1e-6))\n",
        "    y = self.g * (h * torch.rsqrt(h.pow(3).mean(-1, keepdim=True) + 1e-6))\n",
        "    y = self.g * (h * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))\n",
        "    y = h * torch.rsqrt(h.pow(2).sum(-1, keepdim=True) + 1e-6) * self.g\n",
        "    v = h.pow(2).mean(-1, keepdim=True)\n"
        "    y = self.g * (h * torch.rsqrt(v + 1e-6)) + v\n"}) {
    EXPECT_TRUE(rewrite(with_lines(norm)).plan.sites.empty()) << norm;
  }
}

TEST(NormTest, RmsNormOfOtherDtypesThanFloatNeedsItsCasts) {
  auto module = with_lines("    y = self.g * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True)))\n");
  EXPECT_TRUE(rewrite(module).plan.sites.empty());  // no eps
}

TEST(DropoutTest, SavesABitPerElement) {
  Rewrite result = rewrite(with_lines("    y = torch.dropout(h, 0.25, True)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::dropout"));
  EXPECT_EQ(result.plan.sites[0].saved_bytes_delta, kRows * kColumns / 8 - 4 * kRows * kColumns);
  expect_verified(result);
  FileCheck().check("invact::dropout")->run(graph_text(result.rewritten));
}

TEST(DropoutTest, InPlaceToo) {
  Rewrite result = rewrite(with_lines("    y = torch.dropout_(h, 0.25, True)\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::dropout_"));
  EXPECT_EQ(result.plan.accepted_count(), 1);
  expect_verified(result);
}

TEST(DropoutTest, WithoutAMaskThereIsNoSite) {
  for (const char* dropout : {"torch.dropout(h, 0.0, True)", "torch.dropout(h, 1.0, True)",
                              "torch.dropout(h, 0.5, False)"}) {
    const Rewrite result = rewrite(with_lines(std::string("    y = ") + dropout + "\n"));
    EXPECT_TRUE(result.plan.sites.empty()) << dropout;
  }
}

TEST(DropoutTest, AProbabilityThatOnlyTheRunTellsForbidsIt) {
  const Rewrite result =
      rewrite(with_lines("    y = torch.dropout(h, 0.1 * float(x.size(0)), True)\n"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "parameters_unknown");
}

TEST(DropoutTest, RestoredWithNormsAndActivations) {
  const Rewrite result = rewrite(with_lines(
      "    y = torch.dropout(torch.layer_norm(torch.gelu(h), [16], self.g), 0.1, True)\n"));
  EXPECT_GT(result.plan.accepted_count(), 0);
  EXPECT_EQ(graph_text(restored(result.rewritten)), graph_text(result.model));
}

}  // namespace
}  // namespace invact::testing
