// Dropout of an activation in one operator against ATen's two with the same seed: output and
// generator bit for bit, gradients as near as the stored output tells them, and what is saved.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "kernels/catalog.h"
#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/dropout/dropout_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ActivationDropoutTest : public ::testing::TestWithParam<size_t> {
 protected:
  const FusedCase& fused() const { return fused_cases()[GetParam()]; }
  const OpCase& op() const { return fused().op(); }
  std::string op_name() const { return op().op + "_dropout"; }

  DropoutRun ours(const at::Tensor& x, const at::Tensor& grad_output, double p) const {
    return run_dropout([&](const at::Tensor& t) { return fused().invact(t, p, true); }, x,
                       grad_output);
  }
  DropoutRun atens(const at::Tensor& x, const at::Tensor& grad_output, double p) const {
    return run_dropout([&](const at::Tensor& t) { return fused().aten(t, p); }, x, grad_output);
  }
  double tolerance(at::ScalarType dtype, double largest_grad_output) const {
    return fused_tolerance(fused(), dtype, largest_grad_output);
  }
};

TEST_P(ActivationDropoutTest, EqualsAtensPairWithTheSameSeedInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      for (const double p : {0.1, 0.45, 0.97}) {
        SCOPED_TRACE(layout.name + ", " + c10::toString(dtype) + ", p = " + std::to_string(p));
        const at::Tensor grad_output = normal(layout.tensor.sizes(), dtype).neg();
        const DropoutRun found = ours(layout.tensor, grad_output, p);
        const DropoutRun expected = atens(layout.tensor, grad_output, p);
        ASSERT_TRUE(same_bits(found.output, expected.output));
        EXPECT_EQ(found.output.strides(), expected.output.strides());
        EXPECT_EQ(found.next, expected.next);
        if (layout.tensor.numel() == 0) continue;
        const at::Tensor difference =
            (found.gradient - expected.gradient)
                .abs()
                .masked_fill(beside_jump(fused(), layout.tensor, found.output, p), 0);
        const double factor = dropout_factor(dtype, p);
        EXPECT_LE(difference.max().item<double>(),
                  tolerance(dtype, factor * grad_output.abs().max().item<double>()));
        EXPECT_TRUE(((expected.output == 0) <= (found.gradient.isfinite())).all().item<bool>());
      }
    }
  }
}

TEST_P(ActivationDropoutTest, DroppedElementsHaveNoGradient) {
  const at::Tensor x = normal({4099}, at::kFloat);
  at::manual_seed(5);
  const at::Tensor dropped = at::dropout(at::ones({4099}), 0.45, true) == 0;
  const at::Tensor derivative = ours(x, at::ones({4099}), 0.45).gradient;
  EXPECT_TRUE((derivative.masked_select(dropped) == 0).all().item<bool>());
}

TEST_P(ActivationDropoutTest, AgreesWithNumericDifferences) {
  constexpr double kStep = 1e-6;
  at::Tensor x = normal({2048}, at::kDouble);
  // Away from kinks, where a difference is no derivative.
  for (const double kink : {-3.0, -1.0, 0.0, 1.0, 3.0, 6.0}) {
    x = at::where((x - kink).abs() < 1e-4, x + 1e-3, x);
  }
  const at::Tensor derivative = ours(x, at::ones_like(x), 0.45).gradient;
  const auto at_offset = [&](double offset) {
    at::manual_seed(5);
    return fused().invact(x + offset, 0.45, true);
  };
  const at::Tensor numeric = (at_offset(kStep) - at_offset(-kStep)) / (2 * kStep);
  // Rounding of two outputs over the step, times dropout's factor; f' itself is known better.
  EXPECT_LE((derivative - numeric).abs().max().item<double>(), 1e-8);
}

TEST_P(ActivationDropoutTest, SavesTheOutputsStorageAndItsBits) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t count : {1, 8, 1001}) {
      const at::Tensor input = leaf(normal({count}, dtype));
      const SavedTensorRecorder recorder;
      const at::Tensor output = fused().invact(input, 0.3, true);
      const auto& saved = recorder.saved();
      ASSERT_EQ(saved.size(), op().has_branch_bit() ? 3u : 2u);
      EXPECT_TRUE(saved[0].is_alias_of(output));
      EXPECT_EQ(saved[0].storage().nbytes(), static_cast<size_t>(count * output.element_size()));
      int64_t bits = 0;
      for (size_t i = 1; i < saved.size(); ++i) {
        EXPECT_EQ(saved[i].scalar_type(), at::kByte);
        EXPECT_EQ(saved[i].storage().nbytes(), static_cast<size_t>((count + 7) / 8));
        bits += static_cast<int64_t>(saved[i].storage().nbytes());
      }
      EXPECT_EQ(bits, kernels::dropout_and_branch_bytes(op().row(), count));
    }
  }
}

TEST_P(ActivationDropoutTest, SharesOneStorageWithTheLinearLayerBehind) {
  const at::Tensor input = leaf(normal({32, 16}, at::kFloat));
  const at::Tensor weight = leaf(normal({16, 8}, at::kFloat));
  const SavedTensorRecorder recorder;
  const at::Tensor product = at::mm(fused().invact(input, 0.3, true), weight);
  std::set<const void*> storages;
  for (const at::Tensor& saved : recorder.saved())
    storages.insert(saved.storage().unsafeGetStorageImpl());
  // The output once, its bits, the weight.
  EXPECT_EQ(storages.size(), op().has_branch_bit() ? 4u : 3u);
}

TEST_P(ActivationDropoutTest, WithoutADropOrAGradientItIsTheActivation) {
  const at::Tensor input = leaf(normal({1001}, at::kFloat));
  const at::Tensor grad_output = at::ones({1001});
  const at::Tensor expected = gradient(op().invact(input), input, grad_output);
  const at::Tensor value = op().aten(input.detach());
  for (const auto& [p, train] : {std::pair(0.0, true), std::pair(0.5, false)}) {
    const SavedTensorRecorder recorder;
    const at::Tensor output = fused().invact(input, p, train);
    EXPECT_TRUE(same_bits(output, value));
    EXPECT_EQ(recorder.saved().size(), op().has_branch_bit() ? 2u : 1u);
    EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
    EXPECT_TRUE(same_bits(gradient(output, input, grad_output), expected));
  }
  const at::Tensor zeros = fused().invact(input, 1, true);
  EXPECT_TRUE(same_bits(zeros, fused().aten(input, 1)));
  EXPECT_TRUE(at::equal(gradient(zeros, input, grad_output), at::zeros({1001})));
  const SavedTensorRecorder recorder;
  at::manual_seed(5);
  const at::Tensor untracked = fused().invact(input.detach(), 0.5, true);
  at::manual_seed(5);
  EXPECT_TRUE(same_bits(untracked, fused().aten(input.detach(), 0.5)));
  const at::NoGradGuard guard;
  EXPECT_FALSE(fused().invact(input, 0.5, true).requires_grad());
  EXPECT_THAT(recorder.saved(), IsEmpty());
  for (const double p : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(fused().invact(input, p, true), c10::Error) << p;
  }
}

TEST_P(ActivationDropoutTest, FiniteInputsHaveFiniteGradientsWhateverOverflows) {
  for (const at::ScalarType dtype : kDtypes) {
    const double largest = dtype == at::kHalf     ? 65504
                           : dtype == at::kDouble ? std::numeric_limits<double>::max()
                                                  : 3.3e38;
    const at::Tensor x = at::tensor({largest, -largest, 6e4, -6e4, 40.0, -40.0, 1e-40, -1e-40, 0.0,
                                     -0.0, -1e-7, 1e-7},
                                    at::kDouble)
                             .to(dtype)
                             .repeat({100});
    for (const double p : {0.3, 0.999}) {  // scales 6e4 out of float16
      SCOPED_TRACE(std::string(c10::toString(dtype)) + ", p = " + std::to_string(p));
      const DropoutRun found = ours(x, at::ones_like(x), p);
      const DropoutRun expected = atens(x, at::ones_like(x), p);
      EXPECT_TRUE(at::equal(found.output.isnan(), expected.output.isnan()));
      EXPECT_TRUE(same_bits(found.output.nan_to_num(), expected.output.nan_to_num()));
      if (fused().name == "SquaredRelu") {
        // Its derivative and the factor overflow together, as they do in ATen's.
        EXPECT_FALSE(found.gradient.isnan().any().item<bool>());
        continue;
      }
      EXPECT_TRUE(found.gradient.isfinite().all().item<bool>());
      // ATen's own formulas overflow for some of these.
      const at::Tensor difference =
          at::where(expected.gradient.isfinite(), found.gradient - expected.gradient, 0).abs();
      EXPECT_LE(
          difference.masked_fill(beside_jump(fused(), x, found.output, p), 0).max().item<double>(),
          tolerance(dtype, dropout_factor(dtype, p)));
    }
  }
}

TEST_P(ActivationDropoutTest, DoubleBackwardIsRightAlongGradOutputAndRaisesThroughTheInput) {
  const at::Tensor input = leaf(normal({33}, at::kDouble));
  const at::Tensor grad_output = leaf(normal({33}, at::kDouble));
  at::manual_seed(5);
  const at::Tensor output = fused().invact(input, 0.3, true);
  const at::Tensor first = torch::autograd::grad({output}, {input}, {grad_output}, std::nullopt,
                                                 /*create_graph=*/true)[0];
  const at::Tensor again = torch::autograd::grad({first.sum()}, {grad_output}, {}, true)[0];
  EXPECT_TRUE(same_bits(again, ours(input, at::ones({33}, at::kDouble), 0.3).gradient));
  try {
    torch::autograd::grad({(first + input.pow(3)).sum()}, {input}, {}, true);
    ADD_FAILURE() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr(op_name() + ": double backward"));
  }
}

TEST_P(ActivationDropoutTest, HookThatChangesStridesDoesNotScrambleTheBits) {
  const at::Tensor x = normal({2, 5, 3, 4}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor expected = ours(x, x, 0.3).gradient;
  const SavedTensorRecorder recorder(
      [](const at::Tensor& saved) { return saved.contiguous().clone(); });
  EXPECT_TRUE(same_bits(ours(x, x, 0.3).gradient, expected));
}

TEST_P(ActivationDropoutTest, LeaksNothingAndSeesWritesToItsOutput) {
  const at::Tensor input = leaf(normal({6, 8}, at::kFloat));
  const auto storage = [&] {
    const at::Tensor output = fused().invact(input, 0.3, true);
    torch::autograd::grad({output.sum()}, {input}, {}, /*retain_graph=*/true,
                          /*create_graph=*/true);
    return output.storage().getWeakStorageImpl();
  }();
  EXPECT_TRUE(storage.expired());
  at::Tensor output = fused().invact(input, 0.3, true);
  output.add_(1);
  EXPECT_THROW(gradient(output, input, at::ones({6, 8})), c10::Error);
}

TEST_P(ActivationDropoutTest, IsAtensPairWhateverTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  const at::Tensor x = normal({(1 << 17) + 77}, at::kFloat);
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const DropoutRun found = ours(x, x, 0.3);
    const DropoutRun expected = atens(x, x, 0.3);
    EXPECT_TRUE(same_bits(found.output, expected.output));
    EXPECT_LE((found.gradient - expected.gradient).abs().max().item<double>(),
              tolerance(at::kFloat, 2 * x.abs().max().item<double>()));
  }
  at::set_num_threads(threads_before);
}

/// Scaling by two loses nothing, so that the two operators give the same gradient.
TEST_P(ActivationDropoutTest, WithHalfDroppedTheGradientIsThatOfTwoOperators) {
  for (const at::ScalarType dtype : kDtypes) {
    // There the codes of float32 find other places.
    if (dtype == at::kFloat && op().has_branch_bit()) continue;
    const at::Tensor x = normal({20011}, dtype);
    const DropoutRun pair = run_dropout(
        [&](const at::Tensor& t) { return invact::dropout(op().invact(t), 0.5, true); }, x, x);
    EXPECT_TRUE(at::equal(ours(x, x, 0.5).gradient, pair.gradient)) << dtype;
  }
}

TEST(ActivationDropoutShapesTest, HugeTensorsHaveThemOnMeta) {
  const at::Tensor input =
      at::empty({int64_t{1} << 20, 1 << 20}, at::TensorOptions(at::kMeta)).requires_grad_();
  for (const char* name : {"Gelu", "Elu"}) {
    const auto fused = std::find_if(fused_cases().begin(), fused_cases().end(),
                                    [name](const auto& known) { return known.name == name; });
    const SavedTensorRecorder recorder;
    const at::Tensor output = fused->invact(input, 0.3, true);
    EXPECT_EQ(output.sizes(), input.sizes());
    EXPECT_EQ(recorder.saved().back().numel(), int64_t{1} << 37);
    EXPECT_EQ(gradient(output, input, at::empty_like(output)).sizes(), input.sizes());
  }
}

TEST(ActivationDropoutParametersTest, ThatHideTheInputKeepItAndBits) {
  const at::Tensor input = leaf(normal({1001}, at::kFloat));
  const auto found =
      run_dropout([](const auto& x) { return elu_dropout(x, 0.3, true, -1); }, input, input);
  const auto expected = run_dropout(
      [](const auto& x) { return at::dropout(at::elu(x, -1), 0.3, true); }, input, input);
  EXPECT_TRUE(same_bits(found.output, expected.output));
  EXPECT_TRUE(same_bits(found.gradient, expected.gradient));
  const SavedTensorRecorder recorder;
  elu_dropout(input, 0.3, true, -1);
  ASSERT_EQ(recorder.saved().size(), 2u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(input));
  EXPECT_EQ(recorder.saved()[1].storage().nbytes(), 126u);
}

INSTANTIATE_TEST_SUITE_P(All, ActivationDropoutTest,
                         ::testing::Range(size_t{0}, fused_cases().size()),
                         [](const auto& info) { return fused_cases()[info.param].name; });

}  // namespace
}  // namespace invact::testing
