// dropout against ATen's with the same seed: output, gradient and the generator's state afterwards
// bit for bit, one bit saved per element.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <limits>
#include <optional>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/dropout/dropout_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kProbabilities[] = {0.1, 0.5, 0.97};

/// Bitwise, but for NaN's sign and payload, which ATen's own kernels give differently.
void expect_same(const at::Tensor& found, const at::Tensor& expected) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  ASSERT_TRUE(at::equal(found.isnan(), expected.isnan()));
  EXPECT_TRUE(same_bits(found.nan_to_num(1, 1e4, -1e4), expected.nan_to_num(1, 1e4, -1e4)));
}

TEST(DropoutTest, EqualsAtensWithTheSameSeedInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      for (const double p : kProbabilities) {
        SCOPED_TRACE(layout.name + ", " + c10::toString(dtype) + ", p = " + std::to_string(p));
        const at::Tensor grad_output = normal(layout.tensor.sizes(), dtype).neg();
        const DropoutRun ours =
            run_dropout([&](const at::Tensor& x) { return invact::dropout(x, p, true); },
                        layout.tensor, grad_output);
        const DropoutRun atens =
            run_dropout([&](const at::Tensor& x) { return at::dropout(x, p, true); }, layout.tensor,
                        grad_output);
        expect_same(ours.output, atens.output);
        EXPECT_EQ(ours.output.strides(), atens.output.strides());
        expect_same(ours.gradient, atens.gradient);
        EXPECT_EQ(ours.next, atens.next);
      }
    }
  }
}

TEST(DropoutTest, InPlaceEqualsAtensWithTheSameSeedInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      if (layout.name.find("expanded") != std::string::npos) continue;  // ATen refuses them
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor grad_output = normal(layout.tensor.sizes(), dtype).neg();
      const auto in_place = [&](const auto& dropout_) {
        return run_dropout(
            [&](const at::Tensor& x) {
              // The copy has the layout's strides.
              at::Tensor copy =
                  at::empty_strided(x.sizes(), x.strides(), x.options()).copy_(x.detach()) + 0 * x;
              return dropout_(copy);
            },
            layout.tensor, grad_output);
      };
      const DropoutRun ours =
          in_place([](at::Tensor& x) { return invact::dropout_(x, 0.3, true); });
      const DropoutRun atens = in_place([](at::Tensor& x) { return at::dropout_(x, 0.3, true); });
      expect_same(ours.output, atens.output);
      expect_same(ours.gradient, atens.gradient);
      EXPECT_EQ(ours.next, atens.next);
    }
  }
}

TEST(DropoutTest, InPlaceOnViewsIsAtens) {
  const std::vector<std::function<at::Tensor(const at::Tensor&)>> views = {
      [](const at::Tensor& base) { return base.slice(1, 1, 6); },
      [](const at::Tensor& base) { return base.view({48}); },
      [](const at::Tensor& base) { return base.t(); },
  };
  for (const auto& make_view : views) {
    const auto through_base = [&](const auto& dropout_) {
      return run_dropout(
          [&](const at::Tensor& x) {
            const at::Tensor base = x * 2;
            at::Tensor view = make_view(base);
            dropout_(view);
            return base;
          },
          normal({6, 8}, at::kFloat), normal({6, 8}, at::kFloat).neg());
    };
    const DropoutRun ours = through_base([](at::Tensor& x) { invact::dropout_(x, 0.3, true); });
    const DropoutRun atens = through_base([](at::Tensor& x) { at::dropout_(x, 0.3, true); });
    EXPECT_TRUE(same_bits(ours.output, atens.output));
    EXPECT_TRUE(same_bits(ours.gradient, atens.gradient));
  }
}

TEST(DropoutTest, InPlaceOnALeafRaisesAtensErrorAndBumpsTheVersion) {
  at::Tensor input = leaf(normal({9}, at::kFloat));
  EXPECT_THROW(invact::dropout_(input, 0.5, true), c10::Error);
  at::Tensor exponential = leaf(normal({9}, at::kFloat)).exp();
  invact::dropout_(exponential, 0.5, true);
  try {
    exponential.sum().backward();
    ADD_FAILURE() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("modified by an inplace operation"));
  }
}

TEST(DropoutTest, SavesOneBitPerElementAndNothingElse) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t count : {1, 8, 1001}) {
      const at::Tensor input = leaf(normal({count}, dtype));
      at::Tensor other = input * 1;
      const SavedTensorRecorder recorder;
      invact::dropout(input, 0.5, true);
      invact::dropout_(other, 0.5, true);
      ASSERT_EQ(recorder.saved().size(), 2u);
      for (const at::Tensor& kept : recorder.saved()) {
        EXPECT_EQ(kept.scalar_type(), at::kByte);
        EXPECT_EQ(kept.storage().nbytes(), static_cast<size_t>((count + 7) / 8));
      }
    }
  }
}

TEST(DropoutTest, SavesNothingAndDrawsNothingWithoutNeed) {
  const at::Tensor input = leaf(normal({9}, at::kFloat));
  const auto draws = [](const auto& work) {
    at::manual_seed(5);
    const int64_t untouched = next_random();
    at::manual_seed(5);
    work();
    return next_random() != untouched;
  };
  const SavedTensorRecorder recorder;
  EXPECT_FALSE(draws([&] { EXPECT_TRUE(invact::dropout(input, 0, true).is_same(input)); }));
  EXPECT_FALSE(draws([&] { EXPECT_TRUE(invact::dropout(input, 0.5, false).is_same(input)); }));
  EXPECT_TRUE(draws([&] { invact::dropout(input.detach(), 0.5, true); }));
  EXPECT_TRUE(draws([&] {
    const at::NoGradGuard guard;
    EXPECT_FALSE(invact::dropout(input, 0.5, true).requires_grad());
  }));
  EXPECT_THAT(recorder.saved(), IsEmpty());
  EXPECT_FALSE(draws([&] {
    const at::Tensor zeros = invact::dropout(input, 1, true);
    EXPECT_TRUE(at::equal(zeros, at::zeros({9})));
    EXPECT_TRUE(at::equal(gradient(zeros, input, at::ones({9})), at::zeros({9})));
  }));
}

/// The same random numbers for both; none where the call raises.
std::optional<at::Tensor> dropped(const std::function<at::Tensor()>& dropout) {
  at::manual_seed(3);
  try {
    return dropout();
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

TEST(DropoutTest, ProbabilitiesOutsideAndOtherDtypesAreAtens) {
  const at::Tensor input = normal({9}, at::kFloat);
  for (const double p : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(invact::dropout(input, p, true), c10::Error) << p;
    EXPECT_THROW(at::dropout(input, p, true), c10::Error) << p;
  }
  for (const at::ScalarType dtype : {at::kComplexFloat, at::kInt}) {
    const at::Tensor other = input.to(dtype);
    // LibTorch 2.11 refuses both dtypes, later releases do not.
    const auto ours = dropped([&] { return invact::dropout(other, 0.5, true); });
    const auto atens = dropped([&] { return at::dropout(other, 0.5, true); });
    ASSERT_EQ(ours.has_value(), atens.has_value()) << dtype;
    if (ours) {
      EXPECT_TRUE(at::equal(*ours, *atens)) << dtype;
    }
    EXPECT_TRUE(invact::dropout(other, 0.5, false).is_same(other));
  }
}

TEST(DropoutTest, NonFiniteElementsAreDroppedAsAtenDropsThem) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor special =
        at::tensor({kInfinity, -kInfinity, std::nan(""), -0.0, 0.0, 1e-40, 6e4}, at::kDouble)
            .to(dtype)
            .repeat({40});
    const at::Tensor grad_output = special.flip({0});
    const DropoutRun ours = run_dropout(
        [](const at::Tensor& x) { return invact::dropout(x, 0.5, true); }, special, grad_output);
    const DropoutRun atens = run_dropout(
        [](const at::Tensor& x) { return at::dropout(x, 0.5, true); }, special, grad_output);
    expect_same(ours.output, atens.output);
    expect_same(ours.gradient, atens.gradient);
  }
}

TEST(DropoutTest, DoesNotDependOnTheNumberOfThreads) {
  const int threads_before = at::get_num_threads();
  const at::Tensor input = normal({(1 << 18) + 77}, at::kFloat);
  const auto with_threads = [&](int threads) {
    at::set_num_threads(threads);
    return run_dropout([](const at::Tensor& x) { return invact::dropout(x, 0.3, true); }, input,
                       input);
  };
  const DropoutRun expected = with_threads(1);
  for (const int threads : {2, 3}) {
    const DropoutRun found = with_threads(threads);
    EXPECT_TRUE(same_bits(found.output, expected.output));
    EXPECT_TRUE(same_bits(found.gradient, expected.gradient));
  }
  at::set_num_threads(threads_before);
}

TEST(DropoutTest, DoubleBackwardIsRight) {
  const at::Tensor input = leaf(normal({33}, at::kDouble));
  const at::Tensor grad_output = leaf(normal({33}, at::kDouble));
  const auto second = [&](const auto& dropout) {
    at::manual_seed(5);
    const at::Tensor output = dropout(input);
    const at::Tensor first = torch::autograd::grad({output}, {input}, {grad_output}, std::nullopt,
                                                   /*create_graph=*/true)[0];
    return torch::autograd::grad({first.pow(2).sum()}, {grad_output})[0];
  };
  EXPECT_TRUE(same_bits(second([](const at::Tensor& x) { return invact::dropout(x, 0.3, true); }),
                        second([](const at::Tensor& x) { return at::dropout(x, 0.3, true); })));
}

TEST(DropoutTest, HookThatChangesStridesDoesNotScrambleTheBits) {
  const at::Tensor input =
      normal({2, 5, 3, 4}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  const auto dropout = [](const at::Tensor& x) { return invact::dropout(x, 0.3, true); };
  const DropoutRun expected = run_dropout(dropout, input, input);
  const SavedTensorRecorder recorder(
      [](const at::Tensor& saved) { return saved.repeat({2}).slice(0, 0, saved.numel()); });
  EXPECT_TRUE(same_bits(run_dropout(dropout, input, input).gradient, expected.gradient));
}

TEST(DropoutTest, LeaksNothing) {
  const at::Tensor input = leaf(normal({6, 8}, at::kFloat));
  const auto is_freed = [](const auto& make) {
    const auto storage = [&] { return make().storage().getWeakStorageImpl(); }();
    return storage.expired();
  };
  EXPECT_TRUE(is_freed([&] { return invact::dropout(input, 0.3, true); }));
  EXPECT_TRUE(is_freed([&] {
    at::Tensor view = (input * 1).slice(1, 1, 6);
    return invact::dropout_(view, 0.3, true);
  }));
}

TEST(DropoutTest, HugeTensorsHaveShapesOnMeta) {
  const at::Tensor input =
      at::empty({int64_t{1} << 20, 1 << 20}, at::TensorOptions(at::kMeta)).requires_grad_();
  const SavedTensorRecorder recorder;
  const at::Tensor output = invact::dropout(input, 0.3, true);
  EXPECT_EQ(output.sizes(), input.sizes());
  ASSERT_EQ(recorder.saved().size(), 1u);
  EXPECT_EQ(recorder.saved()[0].numel(), int64_t{1} << 37);
  EXPECT_EQ(gradient(output, input, at::empty_like(output)).sizes(), input.sizes());
}

}  // namespace
}  // namespace invact::testing
