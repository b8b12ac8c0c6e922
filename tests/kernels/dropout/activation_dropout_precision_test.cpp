// f' from what dropout made of an output, against a reference that shares nothing with the kernels:
// what the one rounding more costs beside an output that was not scaled.
#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/math/reference.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

using Operator = at::Tensor (*)(const at::Tensor&, double);

/// By references()' order.
constexpr std::pair<const char*, Operator> kOperators[] = {
    {"Gelu", [](const at::Tensor& x, double p) { return gelu_dropout(x, p, true); }},
    {"ErfGelu", [](const at::Tensor& x, double p) { return erf_gelu_dropout(x, p, true); }},
    {"GeluTanh", [](const at::Tensor& x, double p) { return gelu_dropout(x, p, true, "tanh"); }},
    {"Silu", [](const at::Tensor& x, double p) { return silu_dropout(x, p, true); }},
    {"Mish", [](const at::Tensor& x, double p) { return mish_dropout(x, p, true); }},
    {"QuickGelu", [](const at::Tensor& x, double p) { return quick_gelu_dropout(x, p, true); }},
    {"Hardswish", [](const at::Tensor& x, double p) { return hardswish_dropout(x, p, true); }},
};

Operator operator_of(const std::string& name) {
  for (const auto& [known, op] : kOperators) {
    if (name == known) return op;
  }
  return nullptr;
}

class ActivationDropoutPrecisionTest
    : public ::testing::TestWithParam<std::tuple<size_t, ElementType>> {
 protected:
  const Reference& reference() const { return references()[std::get<0>(GetParam())]; }
  ElementType element_type() const { return std::get<1>(GetParam()); }

  /// Each of the grid's inputs beside outputs above zero, whose places its refinement code takes.
  at::Tensor inputs(const Grid& grid) const {
    constexpr int64_t kStride = 16;
    const int64_t count = static_cast<int64_t>(grid.x.size());
    at::Tensor x = at::ones({count, kStride}, scalar_type(element_type()));
    x.select(1, 0).copy_(at::tensor(grid.x, at::kDouble));
    return x.requires_grad_();
  }

  bool has_codes() const {
    return element_type() == ElementType::kFloat32 &&
           std::visit([]<class F>(const F&) { return F::kRefines; }, reference().function);
  }

  Grid grid() const {
    const double minimum = static_cast<double>(reference().minimum_x);
    if (is_16_bit(element_type())) return all_codes(format_of(element_type()));
    return element_type() == ElementType::kFloat32 ? float32_blocks(minimum)
                                                   : float64_sample(minimum);
  }
};

struct Error {
  double max = 0;
  double rms = 0;
};

/// Of f' over the grid's inputs that were kept.
Error measure(const Reference& reference, const Grid& grid, const at::Tensor& x, double p) {
  at::manual_seed(7);
  const at::Tensor output = operator_of(reference.name)(x, p);
  // The factor, as the dtype has it: rounding it is no error of ours.
  at::manual_seed(7);
  const at::Tensor factors = at::dropout(at::ones_like(x), p, true).detach();
  const auto derivatives =
      to_vector(gradient(output, x, at::ones_like(x)).select(1, 0).to(at::kDouble));
  const auto factor = to_vector(factors.select(1, 0));
  Error error;
  double mass = 0;
  for (size_t i = 0; i < derivatives.size(); ++i) {
    if (factor[i] == 0) continue;
    const double difference =
        derivatives[i] / factor[i] - static_cast<double>(reference.derivative(grid.x[i]));
    const double weight = grid.mass.empty() ? 1 : grid.mass[i];
    error.max = std::max(error.max, weight > 1e-13 ? std::abs(difference) : 0);
    error.rms += weight * difference * difference;
    mass += weight;
  }
  error.rms = std::sqrt(error.rms / mass);
  return error;
}

/// Errors of f' beside those without dropout. A recovered output is at most a unit in the last
/// place off. At the minimum an output's inputs have |f'| from 0 to sqrt(1/2) in units of sqrt(2
/// f'' ulp), of which the middle is at most 0.35 away, and those of the next one up to sqrt(3/2),
/// whose middle is 0.97 away from 0: 2.7 times as much. Measured at most 2.8, where f is Hardswish
/// and p 0.45.
constexpr double kNeighbouringOutput = 3;

TEST_P(ActivationDropoutPrecisionTest, CostsOneRoundingMore) {
  const Grid points = grid();
  const at::Tensor x = inputs(points);
  const Error own = measure(reference(), points, x, 0);
  std::printf("  no dropout: max %.2e, rms %.2e\n", own.max, own.rms);
  for (const double p : {0.1, 0.25, 0.45, 0.5, 0.9}) {
    const Error error = measure(reference(), points, x, p);
    std::printf("  p %.2f: max %.2e, rms %.2e\n", p, error.max, error.rms);
    if (has_codes()) {
      // Where much is dropped, a word may have too few places left for its codes.
      const bool has_places = p < 0.3;
      const bool erf = reference().name == "Gelu";
      const AcceptanceThreshold plain = acceptance_threshold(reference().name, element_type());
      const double plain_max = erf ? kErfGeluForwardMax : plain.own_forward_max;
      const double plain_rms = erf ? kErfGeluForwardRms : plain.own_forward_rms;
      EXPECT_LE(error.max, has_places ? kRefinedMax : plain_max) << p;
      EXPECT_LE(error.rms, has_places ? kRefinedRms : plain_rms) << p;
    } else {
      EXPECT_LE(error.max, kNeighbouringOutput * own.max) << p;
      EXPECT_LE(error.rms, kNeighbouringOutput * own.rms) << p;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ActivationDropoutPrecisionTest,
    ::testing::Combine(::testing::Range(size_t{0}, references().size()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16)),
    [](const auto& info) {
      return references()[std::get<0>(info.param)].name +
             element_type_name(std::get<1>(info.param));
    });

}  // namespace
}  // namespace invact::testing
