// The norms against ATen's: forward bit for bit, gradients in every layout, what is saved to the
// byte, and where the input is saved instead.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <string>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/norm/norm_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

class NormTest : public ::testing::TestWithParam<size_t> {
 protected:
  const NormCase& norm() const { return norm_cases()[GetParam()]; }
  NormInputs inputs(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) const {
    return norm_inputs(sizes, 1, dtype, true, norm().has_bias);
  }
};

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

TEST_P(NormTest, ForwardEqualsAtenBitForBitInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const NormInputs& layout : norm_layouts(dtype, norm().has_bias)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor expected = call(norm().aten, layout);
      EXPECT_TRUE(same_bits(call(norm().invact, layout), expected));
      const at::Tensor tracked = call(norm().invact, layout.tracked());
      EXPECT_TRUE(same_bits(tracked, expected));
      EXPECT_EQ(tracked.strides(), expected.strides());
      EXPECT_TRUE(tracked.requires_grad());
    }
  }
}

TEST_P(NormTest, GradientsEqualAtensInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const NormInputs& layout : norm_layouts(dtype, norm().has_bias)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const NormInputs tracked = layout.tracked();
      const at::Tensor output = call(norm().invact, tracked);
      const at::Tensor grad_output = normal(output.sizes(), dtype).flip({0});
      const auto found = norm_gradients(output, tracked, grad_output);
      const auto expected = norm_gradients(call(norm().aten, tracked), tracked, grad_output);
      for (size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(found[i].defined(), expected[i].defined());
        if (!found[i].defined()) continue;
        ASSERT_EQ(found[i].sizes(), expected[i].sizes());
        EXPECT_EQ(found[i].scalar_type(), expected[i].scalar_type());
        if (found[i].numel() == 0) continue;
        // Over one column the gradient is zero but for rounding, times rstd = 1 / sqrt(eps).
        constexpr double kLargestRstd = 317;
        const bool is_zero = layout.normalized_shape == std::vector<int64_t>{1} && i < 2;
        const double scale = is_zero ? kLargestRstd * grad_output.abs().max().item<double>()
                                     : expected[i].abs().max().item<double>();
        const at::Tensor difference = found[i].to(at::kDouble) - expected[i].to(at::kDouble);
        EXPECT_LE(difference.abs().max().item<double>(), scale * norm_gradient_agreement(dtype))
            << "gradient " << i;
      }
    }
  }
}

TEST_P(NormTest, SavesItsOutputOneNumberPerRowAndTheParameters) {
  for (const at::ScalarType dtype : kDtypes) {
    const NormInputs tracked = inputs({6, 24}, dtype).tracked();
    const SavedTensorRecorder recorder;
    const at::Tensor output = call(norm().invact, tracked);
    ASSERT_EQ(recorder.saved().size(), norm().has_bias ? 4u : 3u);
    EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
    EXPECT_EQ(recorder.saved()[1].numel(), 6);
    EXPECT_LE(recorder.saved()[1].storage().nbytes(), size_t{6} * sizeof(double));
    EXPECT_TRUE(recorder.saved()[2].is_alias_of(tracked.weight));
    if (norm().has_bias) {
      EXPECT_TRUE(recorder.saved()[3].is_alias_of(tracked.bias));
    }
    for (const at::Tensor& saved : recorder.saved()) {
      EXPECT_FALSE(saved.is_alias_of(tracked.input));
    }
  }
}

TEST_P(NormTest, SavesOutputAndStatisticsWithoutParameters) {
  const NormInputs tracked = norm_inputs({6, 24}, 1, at::kFloat, false, false).tracked();
  const SavedTensorRecorder recorder;
  const at::Tensor output = call(norm().invact, tracked);
  ASSERT_EQ(recorder.saved().size(), 2u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
  EXPECT_EQ(recorder.saved()[1].storage().nbytes(), size_t{6} * sizeof(float));
}

TEST_P(NormTest, SavesNothingWithoutNeed) {
  const SavedTensorRecorder recorder;
  call(norm().invact, inputs({6, 24}));
  const at::NoGradGuard guard;
  EXPECT_FALSE(call(norm().invact, inputs({6, 24}).tracked()).requires_grad());
  EXPECT_THAT(recorder.saved(), ::testing::IsEmpty());
}

/// Whether this call saves its input, and if so whether everything is ATen's own.
void expect_atens_own(const NormCase& norm, const NormInputs& inputs) {
  const NormInputs tracked = inputs.tracked();
  at::Tensor output;
  {
    const SavedTensorRecorder recorder;
    output = call(norm.invact, tracked);
    for (const at::Tensor& saved : recorder.saved()) EXPECT_FALSE(saved.is_alias_of(output));
  }
  const at::Tensor grad_output = normal(output.sizes(), output.scalar_type()).flip({0});
  const at::Tensor aten = call(norm.aten, tracked);
  EXPECT_TRUE(same_bits(output, aten));
  expect_same_gradients(norm_gradients(output, tracked, grad_output),
                        norm_gradients(aten, tracked, grad_output));
}

TEST_P(NormTest, SavesItsInputWhereTheWeightsDoNotTell) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const at::ScalarType dtype : kDtypes) {
    for (const double weight : {0.0, 1e-320, kInfinity, std::nan("")}) {
      SCOPED_TRACE(std::to_string(weight) + c10::toString(dtype));
      NormInputs bad = inputs({6, 24}, dtype);
      bad.weight.select(0, 17).fill_(weight);
      expect_atens_own(norm(), bad);
    }
  }
  NormInputs subnormal = inputs({6, 24}, at::kHalf);
  subnormal.weight.select(0, 23).fill_(1e-6);
  expect_atens_own(norm(), subnormal);
  NormInputs overflowing = inputs({6, 24}, at::kHalf);
  overflowing.weight.select(0, 0).fill_(6e4);
  expect_atens_own(norm(), overflowing);
}

TEST_P(NormTest, WeightsAreLookedAtInEachCall) {
  NormInputs tracked = inputs({6, 24}).tracked();
  const auto saves_output = [&] {
    const SavedTensorRecorder recorder;
    const at::Tensor output = call(norm().invact, tracked);
    return recorder.saved()[0].is_alias_of(output);
  };
  EXPECT_TRUE(saves_output());
  const at::Tensor before = tracked.weight.detach().clone();
  tracked.weight.detach().select(0, 3).zero_();
  EXPECT_FALSE(saves_output());
  tracked.weight.detach().copy_(before);
  EXPECT_TRUE(saves_output());
}

TEST(LayerNormTest, BiasBesideTheWeightDecides) {
  struct Limit {
    at::ScalarType dtype;
    double ratio;
  };
  for (const Limit& limit : {Limit{at::kDouble, 64}, Limit{at::kFloat, 64}, Limit{at::kHalf, 8},
                             Limit{at::kBFloat16, 4}}) {
    NormInputs inputs = norm_inputs({6, 24}, 1, limit.dtype);
    inputs.weight.select(0, 5).fill_(0.25);
    inputs.bias.select(0, 5).fill_(-0.25 * limit.ratio * 0.98);
    const NormInputs tracked = inputs.tracked();
    const SavedTensorRecorder recorder;
    const at::Tensor output = call(norm_cases()[0].invact, tracked);
    EXPECT_TRUE(recorder.saved()[0].is_alias_of(output)) << limit.dtype;
    inputs.bias.select(0, 5).fill_(-0.25 * limit.ratio * 1.02);
    expect_atens_own(norm_cases()[0], inputs);
  }
}

TEST_P(NormTest, FrozenTensorsGetNoGradientAndTheOthersTheirs) {
  const NormInputs all = inputs({40, 24}).tracked();
  const at::Tensor grad_output = normal({40, 24}, at::kFloat).flip({0});
  const auto expected = norm_gradients(call(norm().invact, all), all, grad_output);
  for (const int frozen : {0, 1, 2}) {
    NormInputs some = inputs({40, 24}).tracked();
    at::Tensor* const tensors[] = {&some.input, &some.weight, &some.bias};
    if (!tensors[frozen]->defined()) continue;
    tensors[frozen]->set_requires_grad(false);
    const auto found = norm_gradients(call(norm().invact, some), some, grad_output);
    for (int i = 0; i < 3; ++i) {
      if (!tensors[i]->defined()) continue;
      ASSERT_EQ(found[i].defined(), i != frozen);
      if (i != frozen) {
        EXPECT_TRUE(same_bits(found[i], expected[i])) << frozen << " " << i;
      }
    }
  }
}

TEST(LayerNormTest, BiasAloneIsAtensOwn) {
  NormInputs tracked = norm_inputs({40, 24}, 1, at::kFloat).tracked();
  tracked.input.set_requires_grad(false);
  tracked.weight.set_requires_grad(false);
  const at::Tensor grad_output = normal({40, 24}, at::kFloat).flip({0});
  const at::Tensor output = call(norm_cases()[0].invact, tracked);
  const auto found = norm_gradients(output, tracked, grad_output);
  EXPECT_LE(relative_distance(found[2], grad_output.sum(0)), 1e-6);
}

TEST_P(NormTest, GradientsDoNotDependOnTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  const NormInputs tracked = inputs({3001, 130}).tracked();
  const at::Tensor grad_output = normal({3001, 130}, at::kFloat).flip({0});
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    return norm_gradients(call(norm().invact, tracked), tracked, grad_output);
  };
  const auto expected = run(1);
  for (const int threads : {2, 3, 7}) {
    SCOPED_TRACE(threads);
    expect_same_gradients(run(threads), expected);
  }
  at::set_num_threads(threads_before);
}

TEST_P(NormTest, NonFiniteInputsSpoilTheRowsThatAtensSpoil) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const at::ScalarType dtype : kDtypes) {
    for (const double value : {kInfinity, -kInfinity, std::nan("")}) {
      NormInputs spoilt = inputs({6, 24}, dtype);
      spoilt.input.select(0, 2).select(0, 11).fill_(value);
      const NormInputs tracked = spoilt.tracked();
      const at::Tensor grad_output = normal({6, 24}, dtype).flip({0});
      const auto found = norm_gradients(call(norm().invact, tracked), tracked, grad_output);
      const auto atens = norm_gradients(call(norm().aten, tracked), tracked, grad_output);
      for (size_t i = 0; i < found.size(); ++i) {
        if (!found[i].defined()) continue;
        // Nothing that ATen calls unknown becomes a number here.
        EXPECT_TRUE(
            atens[i].isfinite().logical_or(found[i].isfinite().logical_not()).all().item<bool>())
            << value << " gradient " << i;
      }
      EXPECT_TRUE(found[0].slice(0, 3).isfinite().all().item<bool>());
    }
  }
}

TEST_P(NormTest, WrongArgumentsRaiseAtensErrors) {
  NormInputs wrong = inputs({6, 24}).tracked();
  wrong.normalized_shape = {23};
  EXPECT_EQ(error_of([&] { call(norm().invact, wrong); }),
            error_of([&] { call(norm().aten, wrong); }));
  NormInputs short_bias = inputs({6, 24}).tracked();
  short_bias.bias = at::ones({3});
  EXPECT_EQ(error_of([&] { call(norm().invact, short_bias); }),
            error_of([&] { call(norm().aten, short_bias); }));
  NormInputs integer_weight = inputs({6, 24}).tracked();
  integer_weight.weight = at::ones({24}, at::kInt);
  EXPECT_EQ(error_of([&] { call(norm().invact, integer_weight); }),
            error_of([&] { call(norm().aten, integer_weight); }));
  NormInputs integers = norm_inputs({6, 24}, 1, at::kFloat, false, false);
  integers.input = integers.input.to(at::kInt);
  EXPECT_EQ(error_of([&] { call(norm().invact, integers); }),
            error_of([&] { call(norm().aten, integers); }));
}

TEST_P(NormTest, ModifyingTheOutputRaisesTheVersionError) {
  const NormInputs tracked = inputs({6, 24}).tracked();
  at::Tensor output = call(norm().invact, tracked);
  output.add_(1);
  EXPECT_THAT(error_of([&] {
                norm_gradients(output, tracked, at::ones({6, 24}));
              }),
              HasSubstr("modified by an inplace operation"));
}

TEST_P(NormTest, DoubleBackwardRaisesByName) {
  const NormInputs tracked = inputs({6, 24}).tracked();
  const at::Tensor value = call(norm().invact, tracked).pow(2).sum() + tracked.input.pow(3).sum();
  const at::Tensor first = torch::autograd::grad({value}, {tracked.input}, {}, std::nullopt,
                                                 /*create_graph=*/true)[0];
  const at::Tensor sum = first.sum();
  try {
    torch::autograd::grad({sum}, {tracked.input}, {});
    ADD_FAILURE() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("invact::" + norm().name + ": double backward"));
  }
  const at::Tensor expected = torch::autograd::grad(
      {call(norm().invact, tracked).pow(2).sum() + tracked.input.pow(3).sum()}, {tracked.input})[0];
  EXPECT_TRUE(same_bits(first, expected));
}

TEST_P(NormTest, InferenceModeEqualsAten) {
  const c10::InferenceMode guard;
  const NormInputs plain = inputs({6, 24});
  EXPECT_TRUE(same_bits(call(norm().invact, plain), call(norm().aten, plain)));
}

TEST_P(NormTest, LeaksNothing) {
  const NormInputs tracked = inputs({6, 24}).tracked();
  c10::weak_intrusive_ptr<c10::StorageImpl> storage = [&] {
    const at::Tensor output = call(norm().invact, tracked);
    torch::autograd::grad({output.sum()}, {tracked.input}, {}, true, /*create_graph=*/true);
    return output.storage().getWeakStorageImpl();
  }();
  EXPECT_TRUE(storage.expired());
}

/// ATen's layer_norm runs on Meta in Python only (python_row_ops_test.py).
TEST(RmsNormTest, HugeTensorsHaveShapesOnMeta) {
  constexpr int64_t kRows = int64_t{1} << 24;
  constexpr int64_t kColumns = 1 << 14;
  const at::TensorOptions meta(at::kMeta);
  NormInputs inputs;
  inputs.input = at::empty({kRows, kColumns}, meta).requires_grad_();
  inputs.normalized_shape = {kColumns};
  const at::Tensor output = call(norm_cases()[1].invact, inputs);
  EXPECT_EQ(output.sizes(), inputs.input.sizes());
  const auto found = norm_gradients(output, inputs, at::empty_like(output));
  EXPECT_EQ(found[0].sizes(), inputs.input.sizes());
}

INSTANTIATE_TEST_SUITE_P(All, NormTest, ::testing::Range(size_t{0}, norm_cases().size()),
                         [](const auto& info) { return norm_cases()[info.param].name; });

}  // namespace
}  // namespace invact::testing
