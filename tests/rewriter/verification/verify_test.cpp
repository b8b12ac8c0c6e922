// Verification: what it finds, what it measures the original by, and how much memory it takes.
#include "rewriter/verification/verify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "analyzer/observation/allocations.h"
#include "analyzer/observation/session.h"
#include "rewriter/verification/float64_reference.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

TEST(VerifyTest, AnotherModelFailsAndNamesTheWorstElement) {
  Model original = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  Model other = saved_and_loaded(make_mlp("torch.gelu(h, approximate='tanh')", 16, 32, 4));
  ModelInputs inputs;
  inputs.values = {at::randn({8, 16})};
  const Verification verification =
      verify_rewrite(original, other, inputs, {}, {.predicted_bytes = 1});
  EXPECT_FALSE(verification.passed);
  EXPECT_THAT(verification.failures, ::testing::Contains(::testing::HasSubstr("output differs")));
  EXPECT_THAT(verification.failures, ::testing::Contains(::testing::HasSubstr("1 were predicted")));
  EXPECT_THAT(verification.failures,
              ::testing::Contains(::testing::HasSubstr("worst element is [")));
}

TEST(VerifyTest, AGradientOnOneSideOnlyFails) {
  const std::string both = "def forward(self, x):\n    return x * self.a + self.b\n";
  const std::string one = "def forward(self, x):\n    return x * self.a + self.b.detach()\n";
  Model original =
      saved_and_loaded(make_module("M", {{"a", parameter({16})}, {"b", parameter({16})}}, both));
  Model other =
      saved_and_loaded(make_module("M", {{"a", parameter({16})}, {"b", parameter({16})}}, one));
  ModelInputs inputs;
  inputs.values = {at::randn({8, 16})};
  const Verification verification = verify_rewrite(original, other, inputs, {});
  EXPECT_THAT(verification.failures,
              ::testing::ElementsAre(::testing::HasSubstr("'b' has a gradient in one model only")));
}

double float64_norm(const at::Tensor& tensor) {
  return tensor.to(at::kDouble).norm().item<double>();
}

TEST(Float64ReferenceTest, IsTheLargestTermOfTheModelsOwnError) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  const ModelInputs inputs = rows(16);
  const StepResult step = run_step(model, inputs, {});
  std::vector<std::string> notes;
  const auto distance = reference_distance(model, inputs, {}, step, "float32", notes);
  ASSERT_TRUE(distance) << notes.front();

  Model exact = saved_and_loaded(model.module);
  exact.module.to(at::kDouble);
  ModelInputs exact_inputs;
  exact_inputs.values = {inputs.values[0].toTensor().to(at::kDouble)};
  const StepResult reference = run_step(exact, exact_inputs, {});
  double largest = 0, expected = 0;
  for (const auto& gradient : reference.gradients)
    largest = std::max(largest, float64_norm(gradient.value));
  for (size_t i = 0; i < step.gradients.size(); ++i) {
    const at::Tensor& gradient = reference.gradients[i].value;
    expected = std::max(expected, float64_norm(gradient - step.gradients[i].value) /
                                      std::max(float64_norm(gradient), largest / 1000));
  }
  EXPECT_DOUBLE_EQ(*distance, expected);
  EXPECT_GT(expected, 0);
}

TEST(Float64ReferenceTest, AModelThatDoesSomethingElseInFloat64HasNone) {
  Model model = saved_and_loaded(make_module("Tells", {{"w", parameter({16})}}, R"(
def forward(self, x):
    y = x * self.w
    if x.dtype == 6:  # float32
        y = y * 2
    return y
)"));
  const ModelInputs inputs = rows(16);
  const StepResult step = run_step(model, inputs, {});
  std::vector<std::string> notes;
  EXPECT_EQ(reference_distance(model, inputs, {}, step, "float32", notes), std::nullopt);
  EXPECT_THAT(notes, ::testing::ElementsAre(::testing::HasSubstr("computes another function")));
}

/// The most that is live at once of what is allocated while `work` runs.
template <typename Work>
int64_t peak_bytes(Work work) {
  const AllocationRecorder allocations(at::kCPU);
  work();
  const StepMemory memory = allocations.finish({});
  std::vector<int64_t> changes(memory.event_count);
  for (const Allocation& allocation : memory.allocations) {
    changes[allocation.allocated_event] += allocation.bytes;
    if (allocation.freed_event >= 0) changes[allocation.freed_event] -= allocation.bytes;
  }
  int64_t live = 0, peak = 0;
  for (const int64_t change : changes) peak = std::max(peak, live += change);
  return peak;
}

/// A large model's parameters fill most of a machine: its file is loaded again in float64 (twice
/// the bytes) beside the original's gradients (once), and nothing as large beside these.
TEST(VerifyTest, TakesThreeTimesTheParametersBesideBothModels) {
  constexpr int kLayers = 32, kWidth = 128;
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  std::string source = "def forward(self, x):\n";
  for (int i = 0; i < kLayers; ++i) {
    parameters.emplace_back(fmt::format("w{}", i), parameter({kWidth, kWidth}) / kWidth);
    source += fmt::format("    x = torch.tanh(torch.linear(x, self.w{}))\n", i);
  }
  source += "    return x\n";
  const auto module = make_module("Deep", parameters, source);
  Model original = saved_and_loaded(module), rewritten = saved_and_loaded(module);
  const ModelInputs inputs = rows(kWidth);
  Verification verification;
  const int64_t peak =
      peak_bytes([&] { verification = verify_rewrite(original, rewritten, inputs, {}); });
  EXPECT_TRUE(verification.passed);
  EXPECT_TRUE(verification.reference_distance);
  const auto share =
      static_cast<double>(peak) / static_cast<double>(original.record.parameter_bytes);
  EXPECT_GT(share, 2) << "the model in float64 was not seen";
  EXPECT_LT(share, 3.5);
}

}  // namespace
}  // namespace invact::testing
