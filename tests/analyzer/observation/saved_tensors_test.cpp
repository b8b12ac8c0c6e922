// What autograd saves, for models whose bytes are computed by hand. n rows, float32.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "analyzer/error.h"
#include "analyzer/observation/session.h"
#include "analyzer/reporting/build_report.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

using ::testing::UnorderedElementsAre;

constexpr int64_t kFloat = 4;

Report observe(const torch::jit::Module& module, int64_t columns) {
  Model model = saved_and_loaded(module);
  return build_report(observe_forward(model, rows(columns), {}));
}

TEST(SavedTensorsTest, LinearGeluLinear) {
  const Report report = observe(make_mlp("torch.gelu(h)", 16, 32, 4), 16);
  // x for w1's gradient, h for gelu's, y for w2's.
  EXPECT_EQ(report.totals.saved_bytes, kRows * (16 + 32 + 32) * kFloat);
  EXPECT_EQ(report.totals.floor_bytes, kRows * (16 + 32) * kFloat);
  EXPECT_EQ(report.totals.duplicate_bytes, kRows * 32 * kFloat);
  EXPECT_EQ(report.totals.unattributed_bytes, 0);
}

TEST(SavedTensorsTest, OperatorIsTheOutermostOne) {
  const Report report = observe(make_mlp("torch.gelu(h)", 16, 32, 4), 16);
  std::vector<std::string> ops;
  for (const StorageRow& row : report.storages) ops.push_back(report.call(row.first_call).op);
  EXPECT_THAT(ops, UnorderedElementsAre("aten::linear", "aten::gelu", "aten::linear"));
}

TEST(SavedTensorsTest, InPlaceSiluKeepsACopyOfItsInput) {
  const Report report = observe(make_mlp("torch.silu_(h)", 16, 32, 4), 16);
  EXPECT_EQ(report.totals.saved_bytes, kRows * (16 + 32 + 32) * kFloat);
  EXPECT_EQ(report.totals.duplicate_bytes, kRows * 32 * kFloat);
}

TEST(SavedTensorsTest, ReluKeepsItsOutputAlone) {
  const Report report = observe(make_mlp("torch.relu(h)", 16, 32, 4), 16);
  EXPECT_EQ(report.totals.saved_bytes, kRows * (16 + 32) * kFloat);
  EXPECT_EQ(report.totals.duplicate_bytes, 0);
}

TEST(SavedTensorsTest, WhatDiesInForwardDoesNotCount) {
  const Report report = observe(make_module("Dead", {{"w", parameter({32, 16})}}, R"(
def forward(self, x):
    dead = torch.gelu(torch.linear(x, self.w))
    return torch.linear(x, self.w) + dead.detach()
)"),
                                16);
  EXPECT_EQ(report.totals.saved_bytes, kRows * 16 * kFloat);
}

TEST(SavedTensorsTest, FrozenWeightNeedsNoInput) {
  const auto module =
      make_module("Lora", {{"frozen", parameter({32, 16}, false)}, {"w", parameter({4, 32})}}, R"(
def forward(self, x):
    return torch.linear(torch.gelu(torch.linear(x, self.frozen)), self.w)
)");
  EXPECT_EQ(observe(module, 16).totals.saved_bytes, kRows * 32 * kFloat);
}

TEST(SavedTensorsTest, NoParameterRequiresGradients) {
  const auto module = make_module("Fixed", {{"w", parameter({32, 16}, false)}}, R"(
def forward(self, x):
    return torch.gelu(torch.linear(x, self.w))
)");
  const Report report = observe(module, 16);
  EXPECT_EQ(report.totals.saved_bytes, 0);
  EXPECT_EQ(report.notes.size(), 1u);
}

TEST(SavedTensorsTest, ChunksOfOneProjectionAreOneStorage) {
  const Report report = observe(make_module("Glu", {{"w", parameter({64, 16})}}, R"(
def forward(self, x):
    a, b = torch.chunk(torch.linear(x, self.w), 2, dim=1)
    return torch.silu(a) * b
)"),
                                16);
  // x; the projection (by silu and mul); silu's output (by mul).
  EXPECT_EQ(report.totals.saved_bytes, kRows * (16 + 64 + 32) * kFloat);
  // The last can be computed from the projection; the projection cannot be computed from it.
  EXPECT_EQ(report.totals.duplicate_bytes, kRows * 32 * kFloat);
}

TEST(SavedTensorsTest, TiedWeightsAreNoActivations) {
  const at::Tensor w = parameter({16, 16});
  const auto module = make_module("Tied", {{"a", w}, {"b", w}}, R"(
def forward(self, x):
    return torch.linear(torch.linear(x, self.a), self.b)
)");
  EXPECT_EQ(observe(module, 16).totals.saved_bytes, kRows * (16 + 16) * kFloat);
}

TEST(SavedTensorsTest, SubmodulesCalledTwiceKeepOnePathAndTwoCalls) {
  auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("act", act);
  top.define(R"(
def forward(self, x):
    y = self.act.forward(torch.linear(x, self.w))
    return self.act.forward(torch.linear(y, self.w))
)");
  const Report report = observe(top, 16);
  // x, h1, y1, h2.
  EXPECT_EQ(report.totals.saved_bytes, kRows * 64 * kFloat);
  int64_t in_act = 0;
  for (const ModuleRow& row : report.modules) {
    if (row.path == "act") in_act = row.saved_bytes;
  }
  EXPECT_EQ(in_act, kRows * 32 * kFloat);
}

TEST(SavedTensorsTest, EmptyAndScalarTensors) {
  const auto module = make_module("Scalar", {{"w", parameter({})}}, R"(
def forward(self, x):
    return torch.gelu(x.sum() * self.w)
)");
  Model model = saved_and_loaded(module);
  ModelInputs inputs;
  inputs.values = {at::randn({0, 16})};
  const Report report = build_report(observe_forward(model, inputs, {}));
  // The 0-d sum (for w) and the 0-d product (for gelu).
  EXPECT_EQ(report.totals.saved_bytes, 2 * kFloat);
}

TEST(SavedTensorsTest, ObservingTwiceGivesTheSameTraceButForTimes) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  const ModelInputs inputs = rows(16);
  const auto observe = [&] {
    Trace trace = observe_forward(model, inputs, {});
    for (OperatorCall& call : trace.calls) EXPECT_GT(std::exchange(call.forward_ns, 0), 0);
    return trace;
  };
  EXPECT_EQ(observe(), observe());
}

TEST(RunStepTest, InPlaceWriteToASavedTensorIsTheModelsError) {
  Model model = saved_and_loaded(make_module("Bad", {{"w", parameter({16, 16})}}, R"(
def forward(self, x):
    y = torch.sigmoid(torch.linear(x, self.w))
    y.mul_(2)
    return y
)"));
  const ModelInputs inputs = rows(16);
  observe_forward(model, inputs, {});
  try {
    run_step(model, inputs, {});
    FAIL() << "the version check did not fire";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("modified by an inplace operation"));
  }
}

TEST(RunStepTest, GradientsAreThoseOfTheStatedScalarAndBuffersAreKept) {
  auto module = make_module("Linear", {{"w", parameter({4, 16})}, {"unused", parameter({2})}}, "");
  module.register_buffer("steps", at::zeros({}));
  module.define(R"(
def forward(self, x):
    self.steps.add_(1)
    return torch.linear(x, self.w)
)");
  Model model = saved_and_loaded(module);
  const ModelInputs inputs = rows(16);
  const StepResult step = run_step(model, inputs, {});
  auto generator = at::detail::createCPUGenerator(1);  // seed 0 + 1
  const at::Tensor r = at::randn({kRows, 4}, generator, at::TensorOptions().dtype(at::kFloat)) /
                       std::sqrt(double{kRows * 4});
  ASSERT_EQ(step.gradients.size(), 2u);
  EXPECT_TRUE(step.gradients[0].value.allclose(r.t().mm(inputs.values[0].toTensor())));
  EXPECT_FALSE(step.gradients[1].value.defined());
  EXPECT_EQ(model.module.attr("steps").toTensor().item<float>(), 0);
}

}  // namespace
}  // namespace invact::testing
