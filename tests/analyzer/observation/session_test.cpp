// A whole step: what the allocator reports, autocast, and TorchScript's own executor, for models
// whose bytes are computed by hand.
#include "analyzer/observation/session.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "analyzer/error.h"
#include "analyzer/observation/allocations.h"
#include "analyzer/reporting/build_report.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

constexpr int64_t kFloat = 4;

Report report_of_step(Model& model, const RunSettings& settings = {}) {
  return build_report(observe_step(model, rows(16), settings));
}

BytesByKind live_at(const MemoryTimeline& timeline, int64_t time_ns) {
  BytesByKind bytes{};
  for (const TimelinePoint& point : timeline.points) {
    if (point.time_ns <= time_ns) bytes = point.live_bytes;
  }
  return bytes;
}

TEST(ObserveStepTest, SavedBytesOfTheTimelineAreTheReports) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  const Report report = report_of_step(model);
  ASSERT_TRUE(report.timeline);
  const MemoryTimeline& timeline = *report.timeline;
  EXPECT_EQ(timeline.backend, "c10 CPU allocator");
  // All that is saved but x, which was there before the step.
  const BytesByKind at_end = live_at(timeline, timeline.forward_end_ns);
  EXPECT_EQ(at_end[static_cast<size_t>(MemoryKind::kSaved)], kRows * (32 + 32) * kFloat);
  EXPECT_EQ(at_end[static_cast<size_t>(MemoryKind::kGradients)], 0);
  EXPECT_EQ(at_end[static_cast<size_t>(MemoryKind::kParameters)], model.record.parameter_bytes);
}

TEST(ObserveStepTest, EveryKeptStorageIsReleasedOnceAndGradientsStay) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  const Report report = report_of_step(model);
  const MemoryTimeline& timeline = *report.timeline;
  ASSERT_EQ(timeline.releases.size(), 2u);
  for (const StorageRelease& release : timeline.releases) {
    EXPECT_GE(release.time_ns, timeline.forward_end_ns);
    EXPECT_LE(release.time_ns, timeline.end_ns);
  }
  const BytesByKind& last = timeline.points.back().live_bytes;
  EXPECT_EQ(last[static_cast<size_t>(MemoryKind::kGradients)], model.record.parameter_bytes);
  EXPECT_EQ(last[static_cast<size_t>(MemoryKind::kSaved)], 0);
  EXPECT_EQ(last[static_cast<size_t>(MemoryKind::kTemporaries)], 0);
  for (const at::Tensor& parameter : model.module.parameters()) {
    EXPECT_FALSE(parameter.grad().defined()) << "the step's gradients stay in the model";
  }
}

/// Of every block, in the order of allocating.
std::vector<int64_t> block_bytes(const StepMemory& memory) {
  std::vector<int64_t> bytes;
  for (const Allocation& allocation : memory.allocations) bytes.push_back(allocation.bytes);
  return bytes;
}

TEST(ObserveStepTest, ObservingAllocatesNothing) {
  Model model = saved_and_loaded(make_mlp("torch.dropout(torch.gelu(h), 0.5, True)", 16, 32, 4));
  const ModelInputs inputs = rows(16);
  const Trace trace = observe_step(model, inputs, {});
  const AllocationRecorder allocations(at::kCPU);
  run_step(model, inputs, {});
  EXPECT_EQ(block_bytes(*trace.step_memory), block_bytes(allocations.finish({})));
}

TEST(ObserveStepTest, InPlaceWriteToASavedTensorIsTheModelsError) {
  Model model = saved_and_loaded(make_module("Bad", {{"w", parameter({16, 16})}}, R"(
def forward(self, x):
    y = torch.sigmoid(torch.linear(x, self.w))
    y.mul_(2)
    return y
)"));
  try {
    observe_step(model, rows(16), {});
    FAIL() << "the version check did not fire";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("modified by an inplace operation"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("aten::sigmoid"));
  }
  // The hooks are gone when the next run begins.
  Model sound = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  EXPECT_GT(report_of_step(sound).totals.saved_bytes, 0);
}

TEST(ObserveStepTest, FrozenParametersGetNoGradientAndAreToldApart) {
  Model model = saved_and_loaded(
      make_module("Lora", {{"frozen", parameter({32, 16}, false)}, {"w", parameter({4, 32})}}, R"(
def forward(self, x):
    return torch.linear(torch.gelu(torch.linear(x, self.frozen)), self.w)
)"));
  EXPECT_EQ(model.record.trainable_parameter_bytes, 4 * 32 * kFloat);
  const Report report = report_of_step(model);
  EXPECT_EQ(report.timeline->points.back().live_bytes[static_cast<size_t>(MemoryKind::kGradients)],
            4 * 32 * kFloat);
}

/// A linear, and a buffer that counts the forwards.
Model counting_model() {
  auto module = make_module("Counting", {{"w", parameter({4, 16})}}, "");
  module.register_buffer("count", at::zeros({1}));
  module.define(R"(
def forward(self, x):
    self.count.add_(1)
    return torch.linear(x, self.w)
)");
  return saved_and_loaded(module);
}

TEST(TimeStepTest, LeavesTheModelAsItWas) {
  Model model = counting_model();
  const ModelInputs inputs = rows(16);
  const auto cotangents = draw_cotangents(model, inputs, {});
  ASSERT_EQ(cotangents.size(), 1u);
  EXPECT_GT(time_step(model, inputs, {}, cotangents), 0);
  EXPECT_EQ(model.module.attr("count").toTensor().item<float>(), 0);
  EXPECT_FALSE(model.module.attr("w").toTensor().grad().defined());
}

TEST(TimeStepTest, DifferentiatesWhatRunStepDoes) {
  Model model = saved_and_loaded(make_mlp("torch.dropout(torch.gelu(h), 0.5, True)", 16, 32, 4));
  const ModelInputs inputs = rows(16);
  RunSettings settings;
  settings.seed = 3;
  const at::Tensor expected = run_step(model, inputs, settings).gradients.at(0).value;
  at::Tensor seen;
  model.module.attr("w1").toTensor().register_hook([&](const at::Tensor& gradient) {
    seen = gradient.clone();
    return gradient;
  });
  time_step(model, inputs, settings, draw_cotangents(model, inputs, settings));
  EXPECT_TRUE(seen.defined() && seen.equal(expected));
}

TEST(AutocastTest, LowPrecisionCopiesAreKeptAndNamed) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  RunSettings settings;
  settings.autocast = at::kBFloat16;
  const Report report = report_of_step(model, settings);
  EXPECT_EQ(report.run.autocast, "bfloat16");
  // x, h, y in two bytes each, and w2's copy; x needs no gradient, for which w1 would be
  // saved.
  constexpr int64_t kHalf = 2;
  EXPECT_EQ(report.totals.saved_bytes, (kRows * (16 + 32 + 32) + 32 * 4) * kHalf);
  int64_t casts = 0;
  for (const Duplicate& duplicate : report.duplicates) {
    if (duplicate.kind == DuplicateKind::kCast) casts += duplicate.bytes;
  }
  EXPECT_EQ(casts, 32 * 4 * kHalf) << "the weight's copy";
}

TEST(AutocastTest, EndsWithForward) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  RunSettings low;
  low.autocast = at::kBFloat16;
  report_of_step(model, low);
  EXPECT_EQ(report_of_step(model).totals.saved_bytes, kRows * (16 + 32 + 32) * kFloat);
}

TEST(RunStepTest, GradientsGoToTheTakerOneByOneAndAreNotKept) {
  // Two layers share one weight: its gradient is complete once, under one name.
  const auto module =
      make_mlp("torch.linear(torch.linear(torch.gelu(h), self.w1.t()), self.w1)", 16, 32, 4);
  Model model = saved_and_loaded(module);
  const StepResult kept = run_step(model, rows(16), {});
  std::map<std::string, at::Tensor> taken;
  const StepResult rest = run_step(model, rows(16), {}, [&](const auto& name, const auto& value) {
    EXPECT_TRUE(taken.emplace(name, value.clone()).second) << name << " came twice";
    for (const auto& parameter : model.module.named_parameters()) {
      EXPECT_EQ(parameter.value.grad().defined(), parameter.name == name);
    }
  });
  EXPECT_TRUE(rest.gradients.empty());
  EXPECT_TRUE(at::equal(rest.outputs[0].value, kept.outputs[0].value));
  ASSERT_EQ(taken.size(), kept.gradients.size());
  for (const auto& [name, value] : kept.gradients) EXPECT_TRUE(at::equal(taken.at(name), value));
  for (const at::Tensor& parameter : model.module.parameters()) {
    EXPECT_FALSE(parameter.grad().defined());
  }
  // Nobody takes the next step's.
  EXPECT_EQ(run_step(model, rows(16), {}).gradients.size(), taken.size());
}

/// Puts the executor of the other tests back.
class ExecutorTest : public ::testing::Test {
 protected:
  ~ExecutorTest() override { select_executor(Executor::kEager); }
};

TEST_F(ExecutorTest, DefaultExecutorIsMeasuredAfterWarmUp) {
  const auto module = make_mlp("torch.dropout(torch.gelu(h), 0.5, True)", 16, 32, 4);
  Model eager_model = saved_and_loaded(module);
  const Report eager = report_of_step(eager_model);
  RunSettings settings;
  settings.executor = Executor::kDefault;
  Model model = saved_and_loaded(module);
  select_executor(settings.executor);
  warm_up(model, rows(16), settings);
  const Report first = report_of_step(model, settings);
  const Report second = report_of_step(model, settings);
  EXPECT_EQ(first.run.executor, "default");
  EXPECT_EQ(first.totals, second.totals) << "still changing after warm-up";
  // Its formula for dropout saves a mask of bytes where ATen saves one of floats.
  EXPECT_LT(first.totals.saved_bytes, eager.totals.saved_bytes);
  const ExecutorComparison comparison = compare_executors(eager, first);
  int64_t masks = 0;
  for (const StorageGroup& group : comparison.only_profiling) masks += group.dtype == "bool";
  EXPECT_EQ(masks, 1);
}

}  // namespace
}  // namespace invact::testing
