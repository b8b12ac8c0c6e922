// The operators against ATen's: forward bit for bit, layouts, gradients, errors.
#include "kernels/ops.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <functional>
#include <limits>
#include <vector>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

class OpTest : public ::testing::TestWithParam<size_t> {
 protected:
  const OpCase& op() const { return op_cases()[GetParam()]; }
};

/// Operators whose output says everything, which ATen has too.
class MonotoneOpTest : public OpTest {};

/// Operators that have an in-place form.
class InPlaceOpTest : public OpTest {};

at::Tensor with_gradient(const at::Tensor& tensor) {
  return tensor.detach().requires_grad_();
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

TEST_P(OpTest, ForwardEqualsAtenBitForBitInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor expected = op().aten(layout.tensor);
      for (const bool needs_gradient : {false, true}) {
        const at::Tensor input = needs_gradient ? with_gradient(layout.tensor) : layout.tensor;
        const at::Tensor output = op().invact(input);
        EXPECT_TRUE(same_bits(output, expected));
        EXPECT_EQ(output.strides(), expected.strides());
        EXPECT_EQ(output.requires_grad(), needs_gradient);
      }
    }
  }
}

TEST_P(OpTest, ForwardEqualsAtenOnEverySixteenBitCode) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const at::Tensor codes = at::arange(-32768, 32768, at::kInt).to(at::kShort).view(dtype);
    EXPECT_TRUE(same_bits(op().invact(with_gradient(codes)), op().aten(codes))) << dtype;
  }
}

TEST_P(OpTest, GradientEqualsAtensWithinTheBoundInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor input = with_gradient(layout.tensor);
      const at::Tensor output = op().invact(input);
      const at::Tensor grad_output = normal(output.sizes(), dtype).flip({0}).view(output.sizes());
      const at::Tensor found = gradient(output, input, grad_output);
      const at::Tensor expected = gradient(op().aten(input), input, grad_output);
      ASSERT_EQ(found.sizes(), expected.sizes());
      EXPECT_EQ(found.scalar_type(), dtype);
      if (found.numel() == 0) continue;
      const double largest = grad_output.abs().max().item<double>();
      const double error =
          (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
      EXPECT_LE(error, gradient_tolerance(op(), dtype, largest));
    }
  }
}

TEST_P(OpTest, AcceptsGradientsOfAnyStrides) {
  const at::Tensor input = with_gradient(normal({6, 10}, at::kFloat));
  const at::Tensor grad_output = normal({6, 10}, at::kFloat);
  const at::Tensor expected = gradient(op().invact(input), input, grad_output);
  const at::Tensor transposed = grad_output.t().contiguous().t();
  const at::Tensor spaced = at::stack({grad_output, grad_output}, 2).select(2, 0);
  EXPECT_TRUE(same_bits(gradient(op().invact(input), input, transposed), expected));
  EXPECT_TRUE(same_bits(gradient(op().invact(input), input, spaced), expected));

  const at::Tensor ones = at::ones({6, 10});
  const at::Tensor expanded = at::ones({}).expand({6, 10});
  EXPECT_TRUE(same_bits(gradient(op().invact(input), input, expanded),
                        gradient(op().invact(input), input, ones)));
}

TEST_P(OpTest, GradientAgreesWithNumericDifferencesInDouble) {
  constexpr double kStep = 1e-5;
  const at::Tensor input = at::linspace(-6.0013, 6.0031, 1001, at::kDouble);  // off every kink
  const at::Tensor tracked = with_gradient(input);
  const at::Tensor found = gradient(op().invact(tracked), tracked, at::ones_like(input));
  const at::Tensor numeric = (op().aten(input + kStep) - op().aten(input - kStep)) / (2 * kStep);
  EXPECT_LE((found - numeric).abs().max().item<double>(),
            1e-9);  // third derivative times step^2 / 6, and rounding / step
}

TEST_P(InPlaceOpTest, InPlaceEqualsAtenInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      if (layout.name.find("expanded") != std::string::npos)
        continue;  // refused by ATen too, below
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      at::Tensor expected = layout.tensor.clone();  // a clone is dense: ATen may take another path
      op().aten_in_place(expected);
      at::Tensor plain = layout.tensor.clone();
      EXPECT_EQ(&op().invact_in_place(plain), &plain);
      EXPECT_TRUE(same_bits(plain, expected));

      const at::Tensor leaf = with_gradient(layout.tensor);
      at::Tensor tracked = leaf.clone();
      op().invact_in_place(tracked);
      EXPECT_TRUE(same_bits(tracked, expected));
      if (expected.numel() == 0) continue;
      const at::Tensor grad_output = normal(expected.sizes(), dtype);
      const at::Tensor found = gradient(tracked, leaf, grad_output);
      const at::Tensor atens = gradient(op().aten(leaf), leaf, grad_output);
      EXPECT_LE((found - atens).abs().max().item<double>(),
                gradient_tolerance(op(), dtype, grad_output.abs().max().item<double>()));
    }
  }
}

TEST_P(InPlaceOpTest, InPlaceOnAnExpandedTensorRaisesAtensError) {
  at::Tensor ours = normal({5, 1}, at::kFloat).expand({5, 9});
  at::Tensor atens = ours;
  EXPECT_EQ(error_of([&] { op().invact_in_place(ours); }),
            error_of([&] { op().aten_in_place(atens); }));
}

TEST_P(OpTest, OtherDtypesDoWhatAtenDoes) {
  const at::Tensor integers = at::arange(-4, 4, at::kInt);
  const std::string expected = error_of([&] { op().aten(integers); });
  EXPECT_EQ(error_of([&] { op().invact(integers); }), expected);
  if (expected != "no error") return;
  EXPECT_TRUE(at::equal(op().invact(integers), op().aten(integers)));
}

TEST_P(OpTest, SpecialInputsGiveFiniteGradientsExceptForNaN) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr int64_t kFinite = 8;
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor values =
        at::tensor({0.0, -0.0, 1e-40, -1e-40, 50.0, -50.0, 3e4, -3e4, kInfinity, std::nan("")},
                   at::kDouble)
            .to(dtype);
    const at::Tensor input = with_gradient(values);
    const at::Tensor ones = at::ones_like(values);
    const at::Tensor output = op().invact(input);
    const at::Tensor found = gradient(output, input, ones).to(at::kDouble);
    EXPECT_TRUE(found.slice(0, 0, kFinite).isfinite().all().item<bool>()) << dtype;
    if (op().has_branch_bit()) {
      // oneDNN's AVX-512 kernel, which is ATen's erf GELU there, makes NaN of infinity itself.
      if (output[kFinite].isnan().item<bool>()) {
        EXPECT_TRUE(found[kFinite].isnan().item<bool>()) << dtype;
      } else {
        EXPECT_EQ(found[kFinite].item<double>(), 1.0) << dtype;
      }
      EXPECT_TRUE(found[kFinite + 1].isnan().item<bool>()) << dtype;
    } else {
      const at::Tensor atens = gradient(op().aten(input), input, ones).to(at::kDouble);
      if (op().name == "SquaredRelu") {
        // The derivative has no bound: of an infinite output it is the largest finite output's.
        EXPECT_GT(found[kFinite].item<double>(), 500) << dtype;
        EXPECT_TRUE(found[kFinite].isfinite().item<bool>()) << dtype;
        EXPECT_TRUE(found[kFinite + 1].isnan().item<bool>()) << dtype;
        continue;
      }
      const at::Tensor special = found.slice(0, kFinite);
      EXPECT_TRUE(at::allclose(special, atens.slice(0, kFinite), 0, 0, /*equal_nan=*/true))
          << dtype << "\n"
          << special << "\n"
          << atens;
    }
  }
}

/// An overflown loss scale: what ATen cuts to zero stays zero. Where 16-bit outputs tell no two
/// inputs apart ATen's derivative is tiny and ours zero: not there.
TEST_P(MonotoneOpTest, InfiniteGradientsPassAsAtens) {
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor input = with_gradient(at::linspace(-4, 8, 257, at::kFloat).to(dtype));
    const at::Tensor infinity = at::full_like(input, std::numeric_limits<double>::infinity());
    EXPECT_TRUE(same_bits(gradient(op().invact(input), input, infinity),
                          gradient(op().aten(input), input, infinity)))
        << dtype;
  }
}

TEST_P(OpTest, InferenceModeEqualsAten) {
  const c10::InferenceMode guard;
  const at::Tensor input = normal({33}, at::kFloat);
  EXPECT_TRUE(same_bits(op().invact(input), op().aten(input)));
  if (!op().invact_in_place) return;
  at::Tensor overwritten = input.clone();
  op().invact_in_place(overwritten);
  EXPECT_TRUE(same_bits(overwritten, op().aten(input)));
}

INSTANTIATE_TEST_SUITE_P(All, MonotoneOpTest, ::testing::ValuesIn(monotone_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });
INSTANTIATE_TEST_SUITE_P(All, InPlaceOpTest, ::testing::ValuesIn(in_place_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });
INSTANTIATE_TEST_SUITE_P(All, OpTest, ::testing::Range(size_t{0}, op_cases().size()),
                         [](const auto& info) { return op_cases()[info.param].name; });

/// Parameters for which the output does not determine the derivative: everything as ATen's own.
TEST(ParametersTest, WhereTheOutputDoesNotDoTheInputIsSaved) {
  struct Call {
    const char* name;
    std::function<at::Tensor(const at::Tensor&)> invact;
    std::function<at::Tensor(const at::Tensor&)> aten;
  };
  const std::vector<Call> calls = {
      {"elu, alpha", [](const at::Tensor& x) { return invact::elu(x, -1); },
       [](const at::Tensor& x) { return at::elu(x, -1); }},
      {"elu, scale", [](const at::Tensor& x) { return invact::elu(x, 1, -1); },
       [](const at::Tensor& x) { return at::elu(x, 1, -1); }},
      {"celu", [](const at::Tensor& x) { return invact::celu(x, -0.5); },
       [](const at::Tensor& x) { return at::celu(x, -0.5); }},
      {"softplus, threshold", [](const at::Tensor& x) { return invact::softplus(x, 1, 3); },
       [](const at::Tensor& x) { return at::softplus(x, 1, 3); }},
      {"softplus, beta", [](const at::Tensor& x) { return invact::softplus(x, -1); },
       [](const at::Tensor& x) { return at::softplus(x, -1); }},
      {"leaky_relu", [](const at::Tensor& x) { return invact::leaky_relu(x, -0.1); },
       [](const at::Tensor& x) { return at::leaky_relu(x, -0.1); }},
  };
  for (const Call& call : calls) {
    SCOPED_TRACE(call.name);
    const at::Tensor input = with_gradient(normal({1001}, at::kFloat));
    const SavedTensorRecorder recorder;
    const at::Tensor output = call.invact(input);
    ASSERT_EQ(recorder.saved().size(), 1u);
    EXPECT_TRUE(recorder.saved()[0].is_alias_of(input));
    EXPECT_TRUE(same_bits(output, call.aten(input)));
    const at::Tensor grad_output = normal({1001}, at::kFloat).flip({0});
    EXPECT_TRUE(same_bits(gradient(output, input, grad_output),
                          gradient(call.aten(input), input, grad_output)));
  }
}

TEST(ParametersTest, OtherValuesThanTheDefaultsAreUsed) {
  const at::Tensor input = with_gradient(normal({1001}, at::kDouble));
  const at::Tensor ones = at::ones({1001}, at::kDouble);
  const auto expect_equal = [&](const at::Tensor& found, const at::Tensor& expected) {
    EXPECT_TRUE(same_bits(found, expected));
    EXPECT_TRUE(
        at::allclose(gradient(found, input, ones), gradient(expected, input, ones), 0, 1e-8));
  };
  expect_equal(invact::softplus(input, 2.5, 30), at::softplus(input, 2.5, 30));
  expect_equal(invact::leaky_relu(input, 0.2), at::leaky_relu(input, 0.2));
  expect_equal(invact::leaky_relu(input, 0), at::leaky_relu(input, 0));
  expect_equal(invact::hardtanh(input, -0.5, 2), at::hardtanh(input, -0.5, 2));
  expect_equal(invact::elu(input, 0), at::elu(input, 0));
}

TEST(GeluTest, UnknownApproximationRaisesAtensError) {
  const at::Tensor input = normal({3}, at::kFloat);
  EXPECT_EQ(error_of([&] { invact::gelu(input, "exact"); }),
            error_of([&] { at::gelu(input, "exact"); }));
}

/// Seconds of CPU time that this process has used, and that the calling thread has.
double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A second thread does a share of the work, which shows in CPU time even on one core.
TEST(ThreadsTest, ForwardAndBackwardRunOnAtensThreads) {
  const int threads_before = at::get_num_threads();
  at::set_num_threads(2);
  const at::Tensor input = with_gradient(normal({1 << 24}, at::kFloat));
  const at::Tensor ones = at::ones({1 << 24});
  const auto share_of_others = [](const auto& work) {
    const double process = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    const double thread = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    work();
    const double all = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - process;
    return 1 - (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - thread) / all;
  };
  constexpr double kLeast = 0.25;
  at::Tensor output;
  EXPECT_GT(share_of_others([&] { output = invact::mish(input); }), kLeast);
  EXPECT_GT(share_of_others([&] { gradient(output, input, ones); }), kLeast);
  at::set_num_threads(threads_before);
}

/// The internal operators are reachable by name from Python: wrong arguments raise, whatever they
/// are.
TEST(InternalOperatorsTest, WrongArgumentsRaiseErrors) {
  const auto forward =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("invact::_activation_forward", "")
          .typed<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, std::string_view)>();
  using BackwardSignature =
      at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                 c10::SymIntArrayRef, std::string_view, c10::ArrayRef<double>);
  const auto backward = c10::Dispatcher::singleton()
                            .findSchemaOrThrow("invact::_activation_backward", "")
                            .typed<BackwardSignature>();
  const at::Tensor x = normal({3, 7}, at::kFloat);
  const auto [y, bits] = forward.call(x, "silu");
  const std::vector<c10::SymInt> strides = {7, 1};
  const auto run = [&](const at::Tensor& g, const std::optional<at::Tensor>& branch,
                       std::string_view name, std::vector<double> parameters) {
    return error_of([&, y = y] { backward.call(g, y, branch, strides, name, parameters); });
  };
  EXPECT_EQ(run(x, bits, "silu", {}), "no error");
  EXPECT_EQ(run(x, std::nullopt, "elu", {1, 1, 1}), "no error");
  EXPECT_THAT(error_of([&] { forward.call(x, "swish"); }), HasSubstr("no function 'swish'"));
  EXPECT_THAT(error_of([&] { forward.call(x, "softsign"); }), HasSubstr("no branch bit"));
  EXPECT_THAT(error_of([&] { forward.call(x.to(at::kInt), "silu"); }),
              HasSubstr("not implemented"));
  EXPECT_THAT(run(x, bits, "silu", {1}), HasSubstr("has 0 parameters, not 1"));
  EXPECT_THAT(run(x, std::nullopt, "silu", {}), HasSubstr("1 branch bits per element"));
  EXPECT_THAT(run(x, bits.slice(0, 1), "silu", {}), HasSubstr("bytes of branch bits"));
  EXPECT_THAT(run(x.t(), bits, "silu", {}), HasSubstr("gradient of shape"));
  EXPECT_THAT(run(x.to(at::kDouble), bits, "silu", {}), HasSubstr("gradient of dtype"));
}

}  // namespace
}  // namespace invact::testing
