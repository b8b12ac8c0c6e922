// The acceptance test of derivative_test.cpp again with y from the operators' own forward instead
// of the correctly rounded one, and at the level of gradients: the operator's backward against g
// f'(x).
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/math/reference.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

class OwnForwardTest : public ::testing::TestWithParam<std::tuple<size_t, ElementType>> {
 protected:
  const Reference& reference() const { return references()[std::get<0>(GetParam())]; }
  const OpCase& op() const { return op_case(reference().name); }
  ElementType element_type() const { return std::get<1>(GetParam()); }
  Grid grid() const {
    return element_type() == ElementType::kFloat32
               ? float32_blocks(static_cast<double>(reference().minimum_x))
               : all_codes(format_of(element_type()));
  }
  StoredOutputs own_outputs(const Grid& inputs) const {
    const at::Tensor x = at::tensor(inputs.x, at::kDouble).to(scalar_type(element_type()));
    StoredOutputs outputs = stored_outputs(reference(), inputs, format_of(element_type()));
    outputs.y = to_vector(op().invact(x));
    return outputs;
  }
};

/// Turns oneDNN, which ATen's contiguous float32 gelu runs, off or on while it lives.
class OneDnnGuard {
 public:
  explicit OneDnnGuard(bool enabled) : before_(at::globalContext().userEnabledMkldnn()) {
    at::globalContext().setUserEnabledMkldnn(enabled);
  }
  ~OneDnnGuard() { at::globalContext().setUserEnabledMkldnn(before_); }

 private:
  bool before_;
};

TEST_P(OwnForwardTest, DerivativeStaysWithinTheThresholds) {
  const AcceptanceThreshold threshold = acceptance_threshold(reference().name, element_type());
  const Grid inputs = grid();
  const Limit limit = information_limit(
      reference(), inputs, stored_outputs(reference(), inputs, format_of(element_type())));
  const auto evaluate = kernels::cpu::has_avx512() ? &avx512::derivative
                        : kernels::cpu::has_avx2() ? &avx2::derivative
                                                   : &baseline::derivative;
  for (const bool one_dnn : {false, true}) {
    const OneDnnGuard guard(one_dnn);
    const StoredOutputs outputs = own_outputs(inputs);
    const ErrorSummary error = summarize(reference(), inputs, outputs,
                                         evaluate(reference().function, element_type(), outputs));
    std::printf("  oneDNN %s: rms %.3e (%.3f x limit), max %.3e (%.3f x half-width)\n",
                one_dnn ? "on" : "off", error.rms, error.rms / limit.rms, error.max,
                error.max / limit.half_width);
    if (op().rounds_each_step() && element_type() != ElementType::kFloat32) {
      EXPECT_LE(error.max, kWrittenOutForwardMax * limit.half_width);
      EXPECT_LE(error.rms, kWrittenOutForwardRms * limit.rms);
    } else if (element_type() != ElementType::kFloat32) {
      EXPECT_LE(error.max, threshold.max_factor * limit.half_width);
      EXPECT_LE(error.rms, threshold.rms_factor * limit.rms);
    } else {
      const bool erf = reference().name == "Gelu";
      EXPECT_LE(error.max, erf ? kErfGeluForwardMax : threshold.own_forward_max);
      EXPECT_LE(error.rms, erf ? kErfGeluForwardRms : threshold.own_forward_rms);
    }
  }
}

/// Indices of the functions whose float32 outputs near the minimum carry refinement codes.
std::vector<size_t> refined_references() {
  std::vector<size_t> indices;
  for (size_t i = 0; i < references().size(); ++i) {
    const bool refines =
        std::visit([]<class F>(const F&) { return F::kRefines; }, references()[i].function);
    if (refines) indices.push_back(i);
  }
  return indices;
}

class RefinedForwardTest : public OwnForwardTest {};

TEST_P(RefinedForwardTest, DerivativeMeetsThePlainKernelsThresholds) {
  // Each input of the grid is followed by outputs above zero, whose places its refinement code
  // takes.
  constexpr int64_t kStride = 8;
  const AcceptanceThreshold threshold = acceptance_threshold(reference().name, element_type());
  const Grid inputs = grid();
  const at::Tensor x = at::ones({static_cast<int64_t>(inputs.x.size()), kStride});
  x.select(1, 0).copy_(at::tensor(inputs.x, at::kDouble));
  x.requires_grad_();
  for (const bool one_dnn : {false, true}) {
    const OneDnnGuard guard(one_dnn);
    const at::Tensor output = op().invact(x);
    const at::Tensor derivative = gradient(output, x, at::ones_like(x)).select(1, 0);
    StoredOutputs outputs = stored_outputs(reference(), inputs, format_of(element_type()));
    outputs.y = to_vector(output.detach().select(1, 0));
    const ErrorSummary error = summarize(reference(), inputs, outputs, to_vector(derivative));
    std::printf("  oneDNN %s: rms %.3e, max %.3e\n", one_dnn ? "on" : "off", error.rms, error.max);
    EXPECT_LE(error.max, threshold.own_forward_max);
    EXPECT_LE(error.rms, threshold.own_forward_rms);
    EXPECT_LE(error.max, kRefinedMax);
    EXPECT_LE(error.rms, kRefinedRms);
  }
}

TEST_P(OwnForwardTest, GradientErrorIsTheLimitAndTheRounding) {
  if (element_type() == ElementType::kFloat32) GTEST_SKIP() << "asked for in 16 bit only";
  constexpr int64_t kCount = 1 << 21;
  const at::ScalarType dtype = scalar_type(element_type());
  at::manual_seed(23);
  const at::Tensor input = at::randn({kCount}, at::kFloat).to(dtype).requires_grad_();
  const at::Tensor grad_output = at::randn({kCount}, at::kFloat).to(dtype);
  const std::vector<double> found = to_vector(gradient(op().invact(input), input, grad_output));
  const std::vector<double> x = to_vector(input.detach());
  const std::vector<double> g = to_vector(grad_output);
  double error = 0;
  double rounding = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const long double exact = g[i] * reference().derivative(x[i]);
    error += std::pow(found[i] - static_cast<double>(exact), 2);
    rounding +=
        std::pow(round_to(exact, format_of(element_type())) - static_cast<double>(exact), 2);
  }
  const Grid inputs = grid();
  const Limit limit = information_limit(
      reference(), inputs, stored_outputs(reference(), inputs, format_of(element_type())));
  const double forward = op().rounds_each_step() ? kWrittenOutForwardRms : 1.0;
  const double allowed = std::sqrt(std::pow(forward * limit.rms, 2) + rounding / kCount);
  std::printf("  rms %.3e = %.3f x sqrt(limit^2 + rounding^2)\n", std::sqrt(error / kCount),
              std::sqrt(error / kCount) / allowed);
  EXPECT_LE(std::sqrt(error / kCount), kGradientFactor * allowed);
}

INSTANTIATE_TEST_SUITE_P(All, RefinedForwardTest,
                         ::testing::Combine(::testing::ValuesIn(refined_references()),
                                            ::testing::Values(ElementType::kFloat32)),
                         [](const auto& info) {
                           return references()[std::get<0>(info.param)].name;
                         });

INSTANTIATE_TEST_SUITE_P(All, OwnForwardTest,
                         ::testing::Combine(::testing::Range(size_t{0}, references().size()),
                                            ::testing::Values(ElementType::kFloat32,
                                                              ElementType::kBFloat16,
                                                              ElementType::kFloat16)),
                         [](const auto& info) {
                           return references()[std::get<0>(info.param)].name +
                                  c10::toString(scalar_type(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace invact::testing
