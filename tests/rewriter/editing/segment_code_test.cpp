// Recompute segments in code of every shape: across modules, branches and functions, restored, and
// rewritten twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using torch::jit::testing::FileCheck;

TEST(SegmentCodeTest, AFlagThatTheCodeNeverChangesDecidesABranch) {
  torch::jit::Module inner =
      make_module("Inner", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, R"(
def forward(self, x):
    n = torch.layer_norm(torch.linear(x, self.w), [16], self.g)
    return torch.linear(torch.relu(n), self.w)
)");
  torch::jit::Module outer("Outer");
  outer.register_module("inner", inner);
  outer.register_attribute("residual", c10::BoolType::get(), true);
  outer.define(R"(
def forward(self, x):
    if self.residual:
        y = self.inner.forward(x) + x
    else:
        y = self.inner.forward(x)
    return y
)");
  Rewrite result = rewrite(outer, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, relu"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, WhatABranchOfTheCodeReadsIsMadeBeforeIt) {
  // By its other side, and as the result of a branch that an argument decides.
  torch::jit::Module module =
      make_module("Skips", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, "");
  module.register_attribute("skips", c10::BoolType::get(), false);
  module.define(R"(
def act(self, x, inplace: bool):
    if inplace:
        result = torch.relu_(x)
    else:
        result = torch.relu(x)
    return result
def forward(self, x):
    n = self.act(torch.layer_norm(torch.linear(x, self.w), [16], self.g), True)
    if self.skips:
        y = n + x
    else:
        y = n
    return torch.linear(torch.silu(y), self.w)
)");
  Rewrite result = rewrite(module, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, relu", "silu"));
  expect_same_bits(result);
}

constexpr const char* kGate = R"(
def forward(self, x):
    a, b = torch.chunk(torch.linear(x, self.w), 2, -1)
    n = torch.layer_norm(a, [8], self.g)
    if self.swaps:
        y = torch.silu(torch.sigmoid(b)) * n
    else:
        y = torch.silu(torch.sigmoid(n)) * b
    return torch.linear(y, self.v)
)";

torch::jit::Module gate(bool swaps) {
  torch::jit::Module module = make_module(
      "Gate", {{"w", parameter({16, 16})}, {"v", parameter({16, 8})}, {"g", parameter({8})}}, "");
  module.register_attribute("swaps", c10::BoolType::get(), swaps);
  module.define(kGate);
  return module;
}

TEST(SegmentCodeTest, ASegmentMayStandInABranchThatAFlagDecides) {
  for (const bool swaps : {false, true}) {
    Rewrite result = rewrite(gate(swaps), exact());
    // What both branches read is made before them, by a segment of its own.
    EXPECT_THAT(segments(result.plan), ::testing::Contains("sigmoid, silu, mul"));
    expect_same_bits(result);
    EXPECT_EQ(graph_text(restored(result.rewritten)), graph_text(result.model));
  }
}

TEST(SegmentCodeTest, AndReachIntoWhatTheBranchCalls) {
  torch::jit::Module inner = make_module(
      "Inner", {{"g", parameter({16})}},
      "def forward(self, x):\n    return torch.sigmoid(torch.layer_norm(x, [16], self.g))\n");
  torch::jit::Module outer = make_module("Outer", {{"w", parameter({16, 16})}}, "");
  outer.register_module("inner", inner);
  outer.register_attribute("gated", c10::BoolType::get(), true);
  outer.define(R"(
def forward(self, x):
    h = torch.linear(x, self.w)
    y = h
    if self.gated:
        y = torch.relu(self.inner.forward(h))
    return torch.linear(y, self.w)
)");
  Rewrite result = rewrite(outer, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, sigmoid, relu"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, WhatABranchNotTakenReadsStaysInTheCode) {
  torch::jit::Module module =
      make_module("Reader", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, "");
  module.register_attribute("more", c10::BoolType::get(), false);
  module.define(R"(
def forward(self, x):
    n = torch.layer_norm(torch.linear(x, self.w), [16], self.g)
    y = torch.linear(torch.silu(n), self.w)
    if self.more:
        y = y + n
    return y
)");
  Rewrite result = rewrite(module, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm", "silu"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, AnArgumentThatIsAConstantDecidesABranch) {
  Rewrite result =
      rewrite(make_module("Branch", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, R"(
def act(self, x, inplace: bool):
    if inplace:
        y = torch.relu_(x)
    else:
        y = torch.relu(x)
    return y

def forward(self, x):
    n = torch.layer_norm(torch.linear(x, self.w), [16], self.g)
    return torch.linear(self.act(n, True), self.w) + self.act(torch.linear(x, self.w), False)
)"),
              exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, relu"));
  expect_same_bits(result);
}

/// Block: norm, linear, activation, each a module of its own; two blocks of one class.
torch::jit::Module two_blocks() {
  const auto leaf = [](const std::string& name, const std::string& source) {
    return make_module(name, {{"w", parameter({16, 16})}, {"g", parameter({16}).abs()}}, source);
  };
  const torch::jit::Module norm = leaf("Norm", R"(
def forward(self, x):
    return torch.layer_norm(x, [16], self.g)
)");
  const torch::jit::Module act = leaf("Act", R"(
def forward(self, x):
    return torch.silu(x)
)");
  const torch::jit::Module linear = leaf("Linear", R"(
def forward(self, x):
    return torch.linear(x, self.w)
)");
  torch::jit::Module block("Block");
  block.register_module("norm", norm);
  block.register_module("act", act);
  block.register_module("linear", linear);
  block.define(R"(
def forward(self, x):
    return self.linear.forward(self.act.forward(self.norm.forward(x)))
)");
  torch::jit::Module top("Top");
  top.register_module("first", block);
  top.register_module("second", block.deepcopy());
  top.register_parameter("w", parameter({16, 16}), false);
  top.define(R"(
def forward(self, x):
    return self.second.forward(self.first.forward(torch.linear(x, self.w)))
)");
  return top;
}

TEST(SegmentCodeTest, ASpanOfModulesIsInlinedAndNoMore) {
  Rewrite result = rewrite(two_blocks(), exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, silu", "layer_norm, silu"));
  EXPECT_EQ(result.plan.sites[0].place.module_path, "first");
  expect_same_bits(result);
  const auto block = result.rewritten.module.attr("first").toModule();
  FileCheck()
      .check_not("name=\"norm\"](%self)\n  %2 : Tensor = prim::CallMethod")
      ->check("invact::recompute")
      ->check("prim::CallMethod[name=\"forward\"]")
      ->run(block.get_method("forward").graph()->toString(false));
  FileCheck().check("prim::CallMethod")->check_not("invact")->run(graph_text(result.rewritten));
}

TEST(SegmentCodeTest, GradientsOfAnArgumentAreAddedInTheSameOrder) {
  // Only the caller's code shows that another operator reads it.
  torch::jit::Module top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("mixer", make_module("Mixer", {{"g", parameter({16})}}, R"(
def forward(self, z):
    return z * torch.rsqrt(torch.mean(z * z, [-1], True) + 1e-5) * self.g
)"));
  top.define(R"(
def forward(self, x):
    z = torch.linear(x, self.w)
    return torch.linear(z + torch.linear(self.mixer.forward(z), self.w), self.w)
)");
  Rewrite result = rewrite(top, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("mul, mean, add, rsqrt"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, AModuleThatHandsOnItsInputMayStandWithin) {
  torch::jit::Module top =
      make_module("Top", {{"w", parameter({16, 16})}, {"g", parameter({16})}}, "");
  top.register_module("identity", make_module("Identity", {}, R"(
def forward(self, x):
    return x
)"));
  top.define(R"(
def forward(self, x):
    n = self.identity.forward(torch.layer_norm(torch.linear(x, self.w), [16], self.g))
    return torch.linear(torch.silu(self.identity.forward(n)), self.w)
)");
  Rewrite result = rewrite(top, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("layer_norm, silu"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, AConsumerWithinAnotherSegmentsSpanReadsWhereThatEnds) {
  const torch::jit::Module sum = make_module("Sum", {}, R"(
def forward(self, a, b):
    return torch.cat([a, b], 1)
)");
  torch::jit::Module top = make_module(
      "Top", {{"w", parameter({16, 16})}, {"g", parameter({32})}, {"v", parameter({16, 32})}}, "");
  top.register_module("sum", sum);
  top.define(R"(
def forward(self, x):
    a = torch.silu(torch.linear(x, self.w))
    b = torch.linear(a, self.w)
    n = torch.layer_norm(self.sum.forward(a, b), [32], self.g)
    return torch.linear(n, self.v)
)");
  Rewrite result = rewrite(top, exact());
  EXPECT_THAT(segments(result.plan), ElementsAre("silu", "cat, layer_norm"));
  expect_same_bits(result);
}

TEST(SegmentCodeTest, RestoringGivesTheOriginalCode) {
  for (const auto& module : {two_blocks(), with_lines("    y = torch.gelu(h)\n")}) {
    Rewrite result = rewrite(module, exact());
    const Model original = restored(result.rewritten);
    EXPECT_EQ(graph_text(original), graph_text(result.model));
    EXPECT_EQ(original.module.get_methods().size(), result.model.module.get_methods().size());
  }
}

TEST(SegmentCodeTest, ASecondRewriteFindsNothing) {
  const Rewrite first = rewrite(two_blocks(), exact());
  const Rewrite second = rewrite(first.rewritten.module, exact());
  EXPECT_EQ(second.plan.accepted_count(), 0);
  EXPECT_EQ(second.plan.saved_bytes_before, first.plan.saved_bytes_after);
}

}  // namespace
}  // namespace invact::testing
