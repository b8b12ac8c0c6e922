// Recompute segments whose result is a view that a linear copies: the segment makes the copy, and
// the linear becomes a product and a sum of the same bits.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/editing/apply.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using torch::jit::testing::FileCheck;

constexpr int64_t kBatch = 2;
constexpr int64_t kTensor = 4 * kBatch * 16 * 16;
constexpr int64_t kStatistics = 2 * 4 * kBatch * 16;

Rewrite rewrite(const torch::jit::Module& module) {
  return testing::rewrite(module, exact(), {kBatch, 16, 16});
}

int64_t freed(const Plan& plan) {
  return plan.saved_bytes_before - plan.saved_bytes_after;
}

constexpr const char* kMixing =
    "    h = torch.linear(x, self.w)\n"
    "    n = torch.layer_norm(h, [16], self.g, self.b)\n"
    "    return torch.linear(n.transpose(1, 2), self.w, self.b)\n";

TEST(CopyingLinearTest, TheCopyOfATransposedNormIsMadeAgain) {
  Rewrite result = rewrite(with_body(kMixing));
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, contiguous"));
  // Of h, two numbers per row and the linear's copy, h is left.
  EXPECT_EQ(freed(result.plan), kTensor + kStatistics);
  expect_same_bits(result);
  FileCheck()
      .check("invact::recompute")
      ->check("aten::matmul")
      ->check("aten::add_")
      ->check("invact::release")
      ->check_not("aten::linear")
      ->run(graph_text(result.rewritten));
}

TEST(CopyingLinearTest, RestoredItIsALinearAgain) {
  const Rewrite result = rewrite(with_body(kMixing));
  const Model original = restored(result.rewritten);
  EXPECT_EQ(graph_text(original), graph_text(result.model));
}

TEST(CopyingLinearTest, WithoutABiasThereIsNoSum) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    n = torch.layer_norm(h, [16], self.g, self.b)\n"
                        "    return torch.linear(n.permute([0, 2, 1]), self.w)\n"));
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, contiguous"));
  expect_same_bits(result);
  FileCheck().check("aten::matmul")->check_not("aten::add_")->run(graph_text(result.rewritten));
}

TEST(CopyingLinearTest, AViewOfWhatIsSavedAnywayIsEnough) {
  Rewrite result = rewrite(
      with_body("    h = torch.linear(x, self.w)\n"
                "    return torch.linear(h.transpose(1, 2), self.w) + torch.linear(h, self.w)\n"));
  EXPECT_THAT(segments(result.plan), ElementsAre("contiguous"));
  EXPECT_EQ(freed(result.plan), kTensor);
  expect_same_bits(result);
}

TEST(CopyingLinearTest, AViewWithAnotherConsumerStays) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    t = torch.layer_norm(h, [16], self.g, self.b).transpose(1, 2)\n"
                        "    return torch.linear(t, self.w, self.b) + t\n"));
  EXPECT_THAT(segments(result.plan), Not(Contains("layer_norm, contiguous")));
  expect_same_bits(result);
}

TEST(CopyingLinearTest, AContiguousViewIsNotCopied) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    n = torch.layer_norm(h, [16], self.g, self.b)\n"
                        "    return torch.linear(n.view([4, 8, 16]), self.w, self.b)\n"));
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm"));
  expect_same_bits(result);
}

torch::jit::Module shared_linear(const std::string& body) {
  torch::jit::Module inner =
      make_module("Inner", {{"w", parameter({16, 16})}, {"b", parameter({16})}},
                  "def forward(self, x):\n    return torch.linear(x, self.w, self.b)\n");
  torch::jit::Module outer =
      make_module("Outer", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, "");
  outer.register_module("inner", inner);
  outer.define("def forward(self, x):\n" + body);
  return outer;
}

TEST(CopyingLinearTest, ALinearInAnotherModuleMayCopyInEveryRun) {
  Rewrite result =
      rewrite(shared_linear("    n = torch.layer_norm(torch.linear(x, self.w), [16], self.g)\n"
                            "    z = self.inner.forward(n.transpose(1, 2))\n"
                            "    m = torch.layer_norm(torch.linear(z, self.w), [16], self.g)\n"
                            "    return self.inner.forward(m.transpose(1, 2))\n"));
  EXPECT_THAT(segments(result.plan),
              ElementsAre("layer_norm, contiguous", "layer_norm, contiguous"));
  expect_same_bits(result);
}

TEST(CopyingLinearTest, OneThatReadsAContiguousTensorInAnotherRunStays) {
  // It adds the bias within the product there, which rounds once less.
  Rewrite result = rewrite(
      shared_linear("    n = torch.layer_norm(torch.linear(x, self.w), [16], self.g)\n"
                    "    return self.inner.forward(n.transpose(1, 2)) + self.inner.forward(x)\n"));
  EXPECT_THAT(segments(result.plan), Not(Contains("layer_norm, contiguous")));
  expect_same_bits(result);
}

TEST(CopyingLinearTest, AFrozenWeightSavesNoCopy) {
  torch::jit::Module module = with_body(kMixing);
  module.attr("w").toTensor().set_requires_grad(false);
  Rewrite result = rewrite(module);
  EXPECT_THAT(segments(result.plan), IsEmpty());
  expect_same_bits(result);
}

}  // namespace
}  // namespace invact::testing
