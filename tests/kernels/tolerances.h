// Every tolerance of the operator library's tests, with its reason. "facts" is numerics.md: section
// 2 gives what no estimator of f' from a stored output and one bit can beat, section 6 the accepted
// distance from it. Loosening one needs an ADR.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

#include "tests/kernels/math/forms.h"

namespace invact::testing {

/// Factors over the limits computed in the test, and absolute bounds (facts, section 6).
struct AcceptanceThreshold {
  /// Over the conditional mean's rms: the fits reach 1.02 to 1.15, the rest is rounding.
  double rms_factor;
  /// Over the largest half-width of f' in one cell.
  double max_factor;
  /// A systematic error of gradients; a tenth of the effect of rounding x itself.
  double bias;
  /// E |E[error | y, branch]|; 0: not asked for.
  double l1_bias;
  /// rms over the limit under N(0, 2^2), N(0, 4^2), N(-1, 1); 0: not asked for.
  double robustness;
  /// f' from ATen's own y, which is not correctly rounded; 0: as for rounded y.
  double own_forward_max;
  double own_forward_rms;
  /// Distance from 1 beyond the point where f' is within half of it.
  double one_within;
  /// |f'| for y = -0 on the left branch: a tail that underflowed.
  double left_at_zero;
};

/// Hardswish has its own in 16 bit: its derivative jumps at y = 3, and its form is the closed one
/// instead of a fit.
inline AcceptanceThreshold acceptance_threshold(const std::string& function, ElementType type) {
  const bool hardswish = function == "Hardswish";
  switch (type) {
    case ElementType::kBFloat16:
      if (hardswish) return {1.10, 1.15, 1e-4, 4e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
      return {1.05, 1.10, 1e-5, 4e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
    case ElementType::kFloat16:
      if (hardswish) return {1.06, 1.15, 1e-5, 1e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
      return {1.06, 1.15, 2e-6, 1e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
    case ElementType::kFloat32:
    case ElementType::kFloat64:
      break;
  }
  return {1.25, 1.30, 5e-8, 0, 0, 2e-4, 1.0e-6, 0x1p-20, 1e-7};
}

/// float32 with refinement codes: half a step of a code (math/refinement.h), which is widest at the
/// minimum itself, and the form's own error elsewhere.
constexpr double kRefinedMax = 1e-5;
constexpr double kRefinedRms = 5e-7;

/// float32 where a block has no place for codes, from the y of ATen's erf gelu, whose y is up
/// to 8.4 ulp off near the minimum (measured, with oneDNN and without it) where section 6 assumes
/// the one or two of a plain kernel; f' errs by sqrt(2 f'' dy) there. Measured 3.2e-4 and 2.9e-6:
/// the price of forward values equal to ATen's.
constexpr double kErfGeluForwardMax = 4e-4;
constexpr double kErfGeluForwardRms = 3.5e-6;

/// 16 bit, QuickGELU, whose forward is an expression rounded three times: the error from that y
/// over what a correctly rounded one allows. Measured 1.50 rms and 1.69 max in bfloat16, 1.31
/// and 1.53 in float16.
constexpr double kWrittenOutForwardRms = 1.6;
constexpr double kWrittenOutForwardMax = 1.8;

/// ATen's float64 hardsigmoid differentiates by a float's 1/6.
constexpr double kFloatSixth = 5.0e-9;

/// float32, |x - x*| > 0.01, where y determines x well: rounding only (facts, section 6).
constexpr double kFloat32AwayMax = 1e-6;
constexpr double kFloat32AwayRms = 3e-7;

/// Slack of f' beyond the function's own range, for y that rounds below the minimum and for y that
/// no x has (section 6).
constexpr double kBelowRange = 0.035;
constexpr double kAboveRange = 0.002;

/// Published limits (facts, section 2): the ones computed here must agree, or the test measures
/// something else.
struct PublishedLimit {
  double rms;
  double half_width;
};
inline PublishedLimit published_limit(const std::string& function, ElementType type) {
  struct Row {
    const char* function;
    PublishedLimit bfloat16;
    PublishedLimit float16;
    PublishedLimit float32;
  };
  static constexpr Row kRows[] = {
      {"Gelu", {1.41e-3, 1.06e-2}, {3.73e-4, 4.84e-3}, {3.22e-7, 3.90e-5}},
      {"ErfGelu", {1.41e-3, 1.06e-2}, {3.73e-4, 4.84e-3}, {3.22e-7, 3.90e-5}},
      {"GeluTanh", {1.45e-3, 1.06e-2}, {2.87e-4, 3.52e-3}, {3.33e-7, 4.12e-5}},
      {"Silu", {1.51e-3, 1.14e-2}, {3.13e-4, 3.77e-3}, {3.81e-7, 4.43e-5}},
      {"Mish", {1.81e-3, 1.23e-2}, {3.58e-4, 4.14e-3}, {4.93e-7, 5.64e-5}},
      {"QuickGelu", {1.44e-3, 1.12e-2}, {3.37e-4, 4.27e-3}, {3.24e-7, 3.58e-5}},
      {"Hardswish", {1.38e-3, 1.17e-2}, {3.01e-4, 4.39e-3}, {3.55e-7, 4.98e-5}},
  };
  for (const Row& row : kRows) {
    if (function != row.function) continue;
    if (type == ElementType::kBFloat16) return row.bfloat16;
    return type == ElementType::kFloat16 ? row.float16 : row.float32;
  }
  return {};
}
/// Two digits are published; float32 blocks are a sample of the codes that were enumerated there.
constexpr double kPublishedAgreement = 0.01;
constexpr double kPublishedSampleAgreement = 0.05;

/// Gradient level, g ~ N(0, 1): rms of the error of RN(g f') over sqrt(limit^2 + rounding^2)
/// (facts, section 6).
constexpr double kGradientFactor = 1.05;

/// f' = 2 x, of the inputs that normal() (op_cases.h) makes: 2 times a float's normal numbers, of
/// which none lies beyond 6.
constexpr double kLargestSquaredReluDerivative = 24;

/// Distance of a norm's gradient from float64's that saving the output may add, where weights are
/// about as large as biases: x_hat is recovered from a number rounded once, so a tenth of the
/// dtype's spacing, since roundings of different elements have different signs. Times the largest
/// |bias| / |weight| beyond that.
inline double norm_gradient_error(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return 0x1p-48;  // against float64 itself, over up to 8192 rows
    case at::kFloat:
      return 0x1p-23;
    case at::kHalf:
      return 0x1p-11;
    default:
      return 0x1p-8;
  }
}

/// Largest difference of an element of a norm's gradient from ATen's, over the largest element:
/// both round, ATen's from the input and ours from the output, over few rows.
inline double norm_gradient_agreement(at::ScalarType dtype) {
  return 16 * norm_gradient_error(dtype);
}

/// AVX2 against baseline: the same formula with and without fused multiply-adds. The bfloat16
/// polynomials amplify a rounding most, far out on the right: what section 6 allows there, a
/// sixteenth of half a bfloat16 ulp.
inline double instruction_set_agreement(ElementType type) {
  return type == ElementType::kBFloat16 ? 0x1p-12 : 1e-5;
}

}  // namespace invact::testing
