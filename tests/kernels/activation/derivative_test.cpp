// The acceptance test of f' recovered from y and a branch bit,
// against a reference that shares nothing with the kernels; and the error bounds that the catalog
// promises.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "kernels/catalog.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/math/forms.h"
#include "tests/kernels/math/reference.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

using Case = std::tuple<size_t, ElementType, InstructionSet>;  // index into references()

class DerivativeTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (instruction_set() == InstructionSet::kAvx2 && !kernels::cpu::has_avx2())
      GTEST_SKIP() << "no AVX2 here";
    if (instruction_set() == InstructionSet::kAvx512 && !kernels::cpu::has_avx512())
      GTEST_SKIP() << "no AVX-512 here";
  }
  const Reference& reference() const { return references()[std::get<0>(GetParam())]; }
  double minimum() const { return static_cast<double>(reference().minimum_x); }
  ElementType element_type() const { return std::get<1>(GetParam()); }
  InstructionSet instruction_set() const { return std::get<2>(GetParam()); }
  Format format() const { return format_of(element_type()); }

  Grid grid() const {
    if (is_16_bit(element_type())) return all_codes(format());
    return element_type() == ElementType::kFloat32 ? float32_blocks(minimum())
                                                   : float64_sample(minimum());
  }
  std::vector<double> derivative(const StoredOutputs& outputs) const {
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
  double derivative(double y, bool left) const { return derivative(StoredOutputs{{y}, {left}})[0]; }
};

/// Values of y from the whole range of a format: all codes of a 16-bit one, else a stride through
/// the bit patterns.
std::vector<double> sampled_outputs(const Format& format) {
  std::vector<double> result = {0.0, -0.0, kInfinity, -kInfinity};
  if (format.type == ElementType::kFloat64) {
    constexpr uint64_t kStride = 0x000123456789abcdu;
    for (uint64_t bits = 0; bits < 0xffffffffffffffffu - kStride; bits += kStride) {
      result.push_back(__builtin_bit_cast(double, bits));
    }
    return result;
  }
  const int total = format.type == ElementType::kFloat16 ? 5 : 16;
  const uint32_t stride = format.type == ElementType::kFloat32 ? 4099 : 1;
  const uint64_t end = format.type == ElementType::kFloat32 ? 0x100000000u : 0x10000u;
  for (uint64_t code = 0; code < end; code += stride) {
    if (format.type == ElementType::kFloat32) {
      result.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(code)));
    } else if (format.type == ElementType::kBFloat16) {
      result.push_back(__builtin_bit_cast(float, static_cast<uint32_t>(code) << total));
    } else {
      const int exponent = static_cast<int>(code >> 10 & 31);
      const double mantissa = static_cast<double>(code & 1023);
      const double magnitude = exponent == 31  ? (mantissa == 0 ? kInfinity : kNaN)
                               : exponent == 0 ? std::ldexp(mantissa, -24)
                                               : std::ldexp(mantissa + 1024, exponent - 25);
      result.push_back(code >> 15 != 0 ? -magnitude : magnitude);
    }
  }
  return result;
}

TEST_P(DerivativeTest, StaysWithinTheInformationLimit) {
  if (element_type() == ElementType::kFloat64) GTEST_SKIP() << "float64 has its own test";
  const AcceptanceThreshold threshold = acceptance_threshold(reference().name, element_type());
  const Grid inputs = grid();
  const StoredOutputs outputs = stored_outputs(reference(), inputs, format());
  const ErrorSummary error = summarize(reference(), inputs, outputs, derivative(outputs));
  const Limit limit = information_limit(reference(), inputs, outputs);
  std::printf(
      "  rms %.3e = %.3f x limit, max %.3e = %.3f x half-width, bias %+.1e, L1 bias %.1e, away max "
      "%.1e rms %.1e\n",
      error.rms, error.rms / limit.rms, error.max, error.max / limit.half_width, error.bias,
      error.l1_bias, error.away_max, error.away_rms);
  EXPECT_LE(error.rms, threshold.rms_factor * limit.rms);
  EXPECT_LE(error.max, threshold.max_factor * limit.half_width);
  EXPECT_LE(std::abs(error.bias), threshold.bias);
  if (is_16_bit(element_type())) {
    EXPECT_LE(error.l1_bias, threshold.l1_bias);
  }
  if (element_type() == ElementType::kFloat32) {
    EXPECT_LE(error.away_max, kFloat32AwayMax);
    EXPECT_LE(error.away_rms, kFloat32AwayRms);
  }
  const PublishedLimit published = published_limit(reference().name, element_type());
  const double agreement =
      is_16_bit(element_type()) ? kPublishedAgreement : kPublishedSampleAgreement;
  EXPECT_NEAR(limit.rms, published.rms, agreement * published.rms);
  EXPECT_NEAR(limit.half_width, published.half_width, agreement * published.half_width);
}

TEST_P(DerivativeTest, HoldsUnderOtherInputDistributions) {
  if (!is_16_bit(element_type())) GTEST_SKIP() << "asked for in 16 bit only";
  for (const auto& [mu, sigma] : {std::pair(0.0, 2.0), std::pair(0.0, 4.0), std::pair(-1.0, 1.0)}) {
    const Grid inputs = all_codes(format(), mu, sigma);
    const StoredOutputs outputs = stored_outputs(reference(), inputs, format());
    const ErrorSummary error = summarize(reference(), inputs, outputs, derivative(outputs));
    const Limit limit = information_limit(reference(), inputs, outputs);
    EXPECT_LE(error.rms,
              acceptance_threshold(reference().name, element_type()).robustness * limit.rms)
        << "mu " << mu << ", sigma " << sigma;
  }
}

TEST_P(DerivativeTest, IsFiniteAndInRangeForEveryOutputAndBothBits) {
  for (const double y : sampled_outputs(format())) {
    for (const bool left : {false, true}) {
      const double value = derivative(y, left);
      if (std::isnan(y)) {
        ASSERT_TRUE(std::isnan(value)) << "left " << left;
      } else {
        ASSERT_GE(value, reference().lowest_derivative - kBelowRange)
            << "y " << y << ", left " << left;
        ASSERT_LE(value, reference().highest_derivative + kAboveRange)
            << "y " << y << ", left " << left;
      }
    }
  }
}

TEST_P(DerivativeTest, HandlesSpecialValues) {
  const AcceptanceThreshold threshold = acceptance_threshold(reference().name, element_type());
  EXPECT_EQ(derivative(kInfinity, false), 1.0);
  EXPECT_TRUE(std::isnan(derivative(kNaN, false)));
  EXPECT_TRUE(std::isnan(derivative(kNaN, true)));
  EXPECT_LE(std::abs(derivative(-0.0, true)), threshold.left_at_zero);
  EXPECT_NEAR(derivative(-0.0, false), static_cast<double>(reference().derivative(0)),
              is_16_bit(element_type()) ? 1e-3 : 1e-6);
  // From where f' itself is within half the allowance of 1.
  double x = 1.0;
  while (std::abs(static_cast<double>(reference().derivative(x)) - 1.0) >
             0.5 * threshold.one_within ||
         x < 2.5)
    x += 0.125;
  for (; x < 60; x += 0.125) {
    const double y = round_to(reference().value(x), format());
    ASSERT_NEAR(derivative(y, false), 1.0, threshold.one_within) << "y " << y;
  }
}

/// float64: what half an ulp of y does to f', and rounding of the solver's own arithmetic.
TEST_P(DerivativeTest, Float64IsAsGoodAsTheStoredOutput) {
  if (element_type() != ElementType::kFloat64) GTEST_SKIP() << "float64 only";
  const Grid inputs = grid();
  const StoredOutputs outputs = stored_outputs(reference(), inputs, format());
  const std::vector<double> found = derivative(outputs);
  for (size_t i = 0; i < found.size(); ++i) {
    const long double x = inputs.x[i];
    const long double expected = reference().derivative(x);
    // |d f'| = |f''| |dx| and |dy| = |f'| |dx|; at the minimum itself, d f' = sqrt(2 f'' dy).
    const double ulp = std::abs(std::nextafter(outputs.y[i], 4.0) - outputs.y[i]);
    const double curvature = reference().highest_curvature;
    const double from_output =
        std::min(std::sqrt(2 * curvature * ulp),
                 curvature * ulp / std::max(std::abs(static_cast<double>(expected)), 1e-300));
    ASSERT_NEAR(found[i], static_cast<double>(expected),
                2 * from_output + 4 * std::numeric_limits<double>::epsilon())
        << "x " << inputs.x[i] << ", y " << outputs.y[i];
  }
}

/// The catalog's rows say no less than what is measured here, and not a fifth more.
TEST_P(DerivativeTest, CatalogStatesTheMeasuredBound) {
  const double bound = error_bound(op_case(reference().name), element_type());
  const Grid inputs = grid();
  const StoredOutputs outputs = stored_outputs(reference(), inputs, format());
  const ErrorSummary error = summarize(reference(), inputs, outputs, derivative(outputs));
  std::printf("  max error %.3e\n", error.max);
  EXPECT_LE(error.max, bound);
  EXPECT_GE(error.max, bound / 1.2);
}

/// The loops that run several elements at once.
class VectorLoopsTest : public DerivativeTest {};

TEST_P(VectorLoopsTest, AgreeWithTheBaseline) {
  StoredOutputs outputs;
  for (const double y : sampled_outputs(format())) {
    for (const bool left : {false, true}) {
      outputs.y.push_back(y);
      outputs.left.push_back(left);
    }
  }
  const std::vector<double> one =
      baseline::derivative(reference().function, element_type(), outputs);
  const std::vector<double> other = derivative(outputs);
  for (size_t i = 0; i < one.size(); ++i) {
    if (std::isnan(one[i]) && std::isnan(other[i])) continue;
    ASSERT_NEAR(one[i], other[i], instruction_set_agreement(element_type()))
        << "y " << outputs.y[i];
  }
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return references()[std::get<0>(info.param)].name + element_type_name(std::get<1>(info.param)) +
         (std::get<2>(info.param) == InstructionSet::kAvx2     ? "Avx2"
          : std::get<2>(info.param) == InstructionSet::kAvx512 ? "Avx512"
                                                               : "Baseline");
}

INSTANTIATE_TEST_SUITE_P(
    All, DerivativeTest,
    ::testing::Combine(::testing::Range(size_t{0}, references().size()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16),
                       ::testing::Values(InstructionSet::kBaseline, InstructionSet::kAvx2,
                                         InstructionSet::kAvx512)),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    All, VectorLoopsTest,
    ::testing::Combine(::testing::Range(size_t{0}, references().size()),
                       ::testing::Values(ElementType::kFloat64, ElementType::kFloat32,
                                         ElementType::kBFloat16, ElementType::kFloat16),
                       ::testing::Values(InstructionSet::kAvx2)),
    case_name);

// In 16 bit AVX-512 has other forms (math/table_form.h): near the minimum, and for y that no x has,
// they differ by as much as the stored y leaves open.
INSTANTIATE_TEST_SUITE_P(Avx512, VectorLoopsTest,
                         ::testing::Combine(::testing::Range(size_t{0}, references().size()),
                                            ::testing::Values(ElementType::kFloat64,
                                                              ElementType::kFloat32),
                                            ::testing::Values(InstructionSet::kAvx512)),
                         case_name);

}  // namespace
}  // namespace invact::testing
