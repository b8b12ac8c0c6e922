// f' of the monotone functions from the output alone, against references that share nothing with
// the kernels: no further off than the output's rounding allows, for every 16-bit input, and finite
// for every output.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "kernels/math/exponential.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/math/forms.h"
#include "tests/kernels/math/reference.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

constexpr double kCentre = -1.0;  // a kink of some, and nothing to the others

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

using Case = std::tuple<size_t, ElementType, InstructionSet>;  // index into closed_references()

class ClosedFormTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (instruction_set() == InstructionSet::kAvx2 && !kernels::cpu::has_avx2())
      GTEST_SKIP() << "no AVX2 here";
    if (instruction_set() == InstructionSet::kAvx512 && !kernels::cpu::has_avx512())
      GTEST_SKIP() << "no AVX-512 here";
  }
  const ClosedReference& reference() const { return closed_references()[std::get<0>(GetParam())]; }
  ElementType element_type() const { return std::get<1>(GetParam()); }
  InstructionSet instruction_set() const { return std::get<2>(GetParam()); }
  Format format() const { return format_of(element_type()); }
  bool is_squared_relu() const { return reference().name == "SquaredRelu"; }
  Grid grid() const {
    if (is_16_bit(element_type())) return all_codes(format());
    Grid grid =
        element_type() == ElementType::kFloat32 ? float32_blocks(kCentre) : float64_sample(kCentre);
    if (is_squared_relu()) add_underflowing_squares(grid);
    if (element_type() == ElementType::kFloat32) return grid;
    // Softplus jumps by 2.1e-9 at its threshold: y tells the side but within that.
    for (const double kink : reference().kinks) {
      for (const double step : {1e-10, 1e-9, 1e-8}) {
        grid.x.push_back(kink - step);
        grid.x.push_back(kink + step);
      }
    }
    return grid;
  }
  /// The root of a square is rounded to the dtype, which is off where the square was no normal
  /// number.
  double root_rounding() const {
    return is_squared_relu() ? std::ldexp(1.0, -format().precision) : 0;
  }
  /// From where the square is 0 to where it is a normal number.
  void add_underflowing_squares(Grid& grid) const {
    constexpr int kSteps = 64;
    const int first = (format().min_exponent - format().precision) / 2 - 2;
    for (int step = first * kSteps; step < (format().min_exponent / 2 + 1) * kSteps; ++step) {
      grid.x.push_back(round_to(std::exp2(static_cast<double>(step) / kSteps), format()));
    }
  }
  std::vector<double> derivative(const std::vector<double>& y) const {
    const StoredOutputs outputs{y, std::vector<uint8_t>(y.size())};
    switch (instruction_set()) {
      case InstructionSet::kBaseline:
        return baseline::derivative(reference().function, element_type(), outputs);
      case InstructionSet::kAvx2:
        return avx2::derivative(reference().function, element_type(), outputs);
      case InstructionSet::kAvx512:
        return avx512::derivative(reference().function, element_type(), outputs);
    }
    return {};
  }
  /// What computing in float, or in double, costs.
  double rounding() const { return element_type() == ElementType::kFloat64 ? 0x1p-50 : 0x1p-21; }
};

TEST_P(ClosedFormTest, ErrsNoMoreThanTheOutputsRounding) {
  const Grid inputs = grid();
  const std::vector<double> y = rounded_values(reference().value, inputs, format());
  const std::vector<double> found = derivative(y);
  double worst = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const long double exact = reference().value(inputs.x[i]);
    const long double expected = reference().derivative(inputs.x[i]);
    const long double from_rounded = reference().derivative_from_value(y[i]);
    const long double from_exact = reference().derivative_from_value(exact);
    // The reference's own formula of y must hold, or the test measures nothing.
    ASSERT_NEAR(static_cast<double>(from_exact), static_cast<double>(expected), 1e-8)
        << "x " << inputs.x[i];
    const double allowed = static_cast<double>(std::abs(from_rounded - from_exact)) + rounding() +
                           root_rounding() * static_cast<double>(expected);
    ASSERT_NEAR(found[i], static_cast<double>(expected), allowed + 2.1e-9)
        << "x " << inputs.x[i] << ", y " << y[i];
    worst = std::max(worst, std::abs(found[i] - static_cast<double>(expected)));
  }
  std::printf("  max error %.3e\n", worst);
}

/// With the default parameters, of which the catalog speaks.
class DefaultParametersTest : public ClosedFormTest {};

std::vector<size_t> references_with_default_parameters() {
  std::vector<size_t> indices;
  for (size_t i = 0; i < closed_references().size(); ++i) {
    const std::string& name = closed_references()[i].name;
    if (name != "ScaledElu" && name != "Celu") indices.push_back(i);
  }
  return indices;
}

/// The catalog's rows say no less than what is measured here, and not a fifth more.
TEST_P(DefaultParametersTest, CatalogStatesTheMeasuredBound) {
  const double bound = error_bound(op_case(reference().name), element_type());
  const Grid inputs = grid();
  const std::vector<double> found = derivative(rounded_values(reference().value, inputs, format()));
  double worst = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = found[i] - static_cast<double>(reference().derivative(inputs.x[i]));
    worst = std::max(worst, std::abs(error));
  }
  std::printf("  max error %.3e\n", worst);
  EXPECT_LE(worst, bound);
  EXPECT_GE(worst, bound / 1.2);
}

/// Also for outputs that no input has.
TEST_P(ClosedFormTest, IsFiniteForEveryFiniteOutput) {
  std::vector<double> y;
  const int steps = is_16_bit(element_type()) ? 1 << 16 : 1 << 20;
  for (int i = 0; i < steps; ++i) {
    const uint32_t bits = static_cast<uint32_t>(i) * (0xffffffffu / static_cast<uint32_t>(steps));
    const float value = __builtin_bit_cast(float, bits);
    if (!std::isfinite(value)) continue;
    const double stored = round_to(value, format());
    if (std::isfinite(stored)) y.push_back(stored);
  }
  const std::vector<double> found = derivative(y);
  for (size_t i = 0; i < y.size(); ++i) {
    // Beyond the range of f the formula of some goes on, below zero or without bound.
    const bool reachable = std::abs(y[i]) <= 1 || y[i] > 0;
    if (!reachable || reference().derivative_from_value(y[i]) < 0) continue;
    if (reference().name == "Softsign" && std::abs(y[i]) > 1) continue;
    ASSERT_TRUE(std::isfinite(found[i])) << y[i];
    ASSERT_GE(found[i], -1e-6) << y[i];
    if (is_squared_relu()) continue;  // has no bound
    ASSERT_LE(found[i], 1.8) << y[i];
  }
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return closed_references()[std::get<0>(info.param)].name +
         element_type_name(std::get<1>(info.param)) +
         (std::get<2>(info.param) == InstructionSet::kAvx2     ? "Avx2"
          : std::get<2>(info.param) == InstructionSet::kAvx512 ? "Avx512"
                                                               : "Baseline");
}

const auto kInstructionSets =
    ::testing::Values(InstructionSet::kBaseline, InstructionSet::kAvx2, InstructionSet::kAvx512);

INSTANTIATE_TEST_SUITE_P(
    All, ClosedFormTest,
    ::testing::Combine(::testing::Range(size_t{0}, closed_references().size()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16),
                       kInstructionSets),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    All, DefaultParametersTest,
    ::testing::Combine(::testing::ValuesIn(references_with_default_parameters()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16),
                       kInstructionSets),
    case_name);

class SquaredReluTest : public ClosedFormTest {};

size_t squared_relu() {
  const auto found = std::ranges::find(closed_references(), "SquaredRelu", &ClosedReference::name);
  return static_cast<size_t>(found - closed_references().begin());
}

INSTANTIATE_TEST_SUITE_P(
    All, SquaredReluTest,
    ::testing::Combine(::testing::Values(squared_relu()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16),
                       kInstructionSets),
    case_name);

/// Over the whole range of the dtype.
TEST_P(SquaredReluTest, TheSlopeOfASquareThatIsANormalNumberIsExact) {
  Grid inputs;
  const int last = (format().max_exponent + 1) / 2;
  for (int exponent = format().min_exponent / 2; exponent < last; ++exponent) {
    const int mantissas = is_16_bit(element_type()) ? 1 << (format().precision - 1) : 1000;
    for (int m = 0; m < mantissas; ++m) {
      const double mantissa = 1.0 + static_cast<double>(m) / mantissas;
      inputs.x.push_back(round_to(std::ldexp(mantissa, exponent), format()));
    }
  }
  const std::vector<double> y = rounded_values(reference().value, inputs, format());
  const std::vector<double> found = derivative(y);
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::isinf(y[i])) continue;
    ASSERT_EQ(found[i], 2 * inputs.x[i]);
  }
}

TEST_P(SquaredReluTest, AnOverflownSquareHasTheSlopeOfTheLargestFiniteOne) {
  const double largest =
      std::ldexp(2.0 - std::ldexp(1.0, 1 - format().precision), format().max_exponent);
  const std::vector<double> found =
      derivative({largest, std::numeric_limits<double>::infinity(), 0.0, -0.0, std::nan("")});
  EXPECT_NEAR(found[0], 2 * std::sqrt(largest),
              2 * std::sqrt(largest) * std::ldexp(1.0, -format().precision));
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], 0);
  EXPECT_EQ(found[3], 0);
  EXPECT_TRUE(std::isnan(found[4]));
}

TEST(ExponentialTest, KeepsItsDigitsFromSubnormalToLarge) {
  for (float t = 1e-42f; t < 100; t *= 1.0013f) {
    const double expected = -std::expm1(-static_cast<double>(t));
    ASSERT_NEAR(kernels::math::one_minus_exp(t), expected, 2.5e-7 * expected + 1e-45) << t;
  }
  EXPECT_EQ(kernels::math::one_minus_exp(0.0f), 0.0f);
  EXPECT_EQ(kernels::math::one_minus_exp(std::numeric_limits<float>::infinity()), 1.0f);
  EXPECT_TRUE(std::isnan(kernels::math::one_minus_exp(std::nanf(""))));
}

}  // namespace
}  // namespace invact::testing
