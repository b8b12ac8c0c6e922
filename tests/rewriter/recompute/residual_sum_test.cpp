// Chains that run residual sums again: where that frees something, and how far backward has to
// walk.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kTensor = 4 * kRows * kColumns;

int64_t freed(const Plan& plan) {
  return plan.saved_bytes_before - plan.saved_bytes_after;
}

/// h0 and then `count` blocks of a linear, a norm behind it and a residual sum; the linears save
/// every sum but the last one's, and the norms what they read.
std::string blocks(int count) {
  std::string lines = "    h = torch.linear(x, self.w)\n";
  for (int i = 0; i < count; ++i) {
    lines += "    h = h + torch.layer_norm(torch.linear(h, self.w), [16], self.g, self.b)\n";
  }
  return lines;
}

TEST(ResidualSumTest, IsRunAgainFromWhatIsSavedAnyway) {
  Rewrite result = rewrite(with_body(blocks(1) + "    return torch.linear(h, self.w)\n"), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, add"));
  // The sum, and two numbers per row of the norm.
  EXPECT_EQ(freed(result.plan), kTensor + 2 * 4 * kRows);
  expect_same_bits(result);
}

TEST(ResidualSumTest, InEverySecondBlockSoThatBackwardWalksBackOne) {
  Rewrite result = rewrite(with_body(blocks(5) + "    return torch.linear(h, self.w)\n"), exact());
  EXPECT_THAT(segments(result.plan),
              ElementsAre("layer_norm, add", "layer_norm, add", "layer_norm, add"));
  EXPECT_EQ(freed(result.plan), 3 * (kTensor + 2 * 4 * kRows));
  expect_same_bits(result);
}

TEST(ResidualSumTest, ASegmentBetweenTwoSumsDoesNotLengthenTheWalk) {
  // The last sum needs gelu(h), which runs again from h: that one is saved.
  const std::string lines = "    h = torch.gelu(h)\n";
  const std::string block =
      "    h = h + torch.layer_norm(torch.linear(h, self.w), [16], self.g, self.b)\n";
  Rewrite result = rewrite(with_body(blocks(1) + "    u = torch.linear(h, self.w)\n" + lines +
                                     block + "    return torch.linear(h, self.w) + u\n"),
                           exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("gelu", "layer_norm, add"));
  expect_same_bits(result);
}

TEST(ResidualSumTest, IsSavedWhereASideWouldHaveToBeSavedInstead) {
  Rewrite result = rewrite(with_body("    h = torch.linear(x, self.w)\n"
                                     "    h = h + torch.linear(torch.linear(h, self.w), self.w)\n"
                                     "    return torch.linear(h, self.w)\n"),
                           exact());
  EXPECT_THAT(segments(result.plan), IsEmpty());
  expect_same_bits(result);
}

TEST(ResidualSumTest, ThatNoOperatorSavesTakesNothingFromTheOneBefore) {
  // The last block's sum is returned: the one before it is run again.
  Rewrite result = rewrite(with_body(blocks(2) + "    return h.sum()\n"), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, add"));
  expect_same_bits(result);
}

TEST(ResidualSumTest, OfTwoBatchNormsInPlaceWithItsActivation) {
  // A ResNet's block with a convolution on the shortcut, then one without.
  torch::jit::Module module = make_module(
      "Blocks", {{"k", parameter({4, 4, 1, 1})}, {"g", parameter({4})}, {"b", parameter({4})}}, "");
  module.define(R"(
def norm(self, x):
    return torch.batch_norm(x, self.g, self.b, None, None, True, 0.1, 1e-5, False)
def forward(self, x):
    x = torch.conv2d(x, self.k)
    y = self.norm(torch.conv2d(torch.relu_(self.norm(torch.conv2d(x, self.k))), self.k))
    s = self.norm(torch.conv2d(x, self.k))
    y = torch.relu_(y.add_(s))
    z = self.norm(torch.conv2d(torch.relu_(self.norm(torch.conv2d(y, self.k))), self.k))
    z = torch.relu_(z.add_(y))
    return torch.conv2d(z, self.k)
)");
  Rewrite result = rewrite(module, exact(), {2, 4, 12, 12});
  EXPECT_THAT(segments(result.plan),
              ElementsAre("batch_norm, relu", "batch_norm, relu", "batch_norm, add, relu"));
  expect_same_bits(result);
}

TEST(ResidualSumTest, MayNotWriteWhatItsSegmentDidNotMake) {
  Rewrite result = rewrite(
      with_body("    h = torch.linear(x, self.w)\n"
                "    u = torch.linear(h, self.w)\n"
                "    h = u.add_(torch.layer_norm(torch.linear(h, self.w), [16], self.g, self.b))\n"
                "    return torch.linear(h, self.w)\n"),
      exact());
  EXPECT_THAT(segments(result.plan), IsEmpty());
  expect_same_bits(result);
}

/// Stochastic depth on a branch: it asks the branch for its first size and makes noise in between.
std::string stochastic_depth(const std::string& branch, const std::string& size = "size(0)") {
  return "    h = torch.linear(x, self.w)\n    u = " + branch +
         "\n"
         "    noise = torch.ones([u." +
         size +
         ", 1]).mul_(2.0)\n"
         "    h = (u * noise).add_(h)\n"
         "    return torch.linear(h, self.w)\n";
}

constexpr const char* kNorm = "torch.layer_norm(torch.linear(h, self.w), [16], self.g, self.b)";

TEST(MetadataReaderTest, AsksWhatFeedsTheSegment) {
  Rewrite result = rewrite(with_body(stochastic_depth(kNorm)), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, mul, add"));
  expect_same_bits(result);
  // Of as many rows as it is given, not of those that the plan saw.
  const at::Tensor x = at::randn({3, kColumns});
  EXPECT_TRUE(at::equal(result.rewritten.module.forward({x}).toTensor(),
                        result.model.module.forward({x}).toTensor()));
}

TEST(MetadataReaderTest, BehindAScaleThatCannotWidenWhatItAsksFor) {
  Rewrite result =
      rewrite(with_body(stochastic_depth("torch.linear(h, self.w) * self.g")), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("mul, add"));
  expect_same_bits(result);
}

TEST(MetadataReaderTest, BehindAScaleInListsOfSizes) {
  Rewrite result = rewrite(
      with_body(stochastic_depth("torch.linear(h, self.w) * self.g", "size()[0]")), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("mul, add"));
  expect_same_bits(result);
}

TEST(MetadataReaderTest, NotBehindAScaleThatCouldWidenIt) {
  // The size that g decides: of one column it would make sixteen.
  Rewrite result =
      rewrite(with_body(stochastic_depth("torch.linear(h, self.w) * self.g", "size(1) // 16 * 8")),
              exact());
  EXPECT_THAT(segments(result.plan), IsEmpty());
  expect_same_bits(result);
  Rewrite reduced = rewrite(
      with_body(stochastic_depth("torch.softmax(torch.linear(h, self.w), 1) + 1.0")), exact());
  expect_same_bits(reduced);
}

TEST(MetadataReaderTest, TheDtypeWhereNoAutocastChangesIt) {
  const auto with_noise = [](const std::string& branch) {
    return with_body("    h = torch.linear(x, self.w)\n    u = " + branch +
                     "\n"
                     "    noise = u.new_empty([u.size(0), 1]).fill_(2.0)\n"
                     "    h = (u * noise).add_(h)\n"
                     "    return torch.linear(h, self.w)\n");
  };
  const std::string norm =
      "torch.batch_norm(torch.linear(h, self.w), self.g, self.b, None, None, "
      "True, 0.1, 1e-5, False)";
  Rewrite result = rewrite(with_noise(norm), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("batch_norm, mul, add"));
  expect_same_bits(result);
  // Layer norm computes in float32 under autocast, whatever it is given.
  EXPECT_THAT(segments(rewrite(with_noise(kNorm), exact()).plan), IsEmpty());
}

TEST(WrittenBetweenTest, WhatWasWrittenBeforeItsFirstConsumer) {
  // The noise of stochastic depth, written behind the norm and in front of the product: above. This
  // one is written once more behind the product.
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n    u = " + std::string(kNorm) +
                        "\n"
                        "    noise = torch.ones([8, 1])\n"
                        "    u = u * noise\n"
                        "    noise.mul_(2.0)\n"
                        "    return torch.linear(u + h, self.w) + noise\n"),
              exact());
  EXPECT_THAT(segments(result.plan), IsEmpty());
}

}  // namespace
}  // namespace invact::testing
