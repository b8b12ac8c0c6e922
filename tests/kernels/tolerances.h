// Every tolerance of the operator library's tests, with its reason. "facts" is numerics.md: section
// 2 gives what no estimator of f' from a stored output and one bit can beat, section 6 the accepted
// distance from it. Loosening one needs an ADR.
#pragma once

#include <string>

#include "tests/kernels/forms.h"

namespace invact::testing {

/// Factors over the limits computed in the test, and absolute bounds (facts, section 6).
struct AcceptanceThreshold {
  double rms_factor;  ///< Over the conditional mean's rms: the fits reach 1.02 to 1.15, the rest is
                      ///< rounding.
  double max_factor;  ///< Over the largest half-width of f' in one cell.
  double bias;     ///< A systematic error of gradients; a tenth of the effect of rounding x itself.
  double l1_bias;  ///< E |E[error | y, branch]|; 0: not asked for.
  double
      robustness;  ///< rms over the limit under N(0, 2^2), N(0, 4^2), N(-1, 1); 0: not asked for.
  double own_forward_max;  ///< f' from ATen's own y, which is not correctly rounded; 0: as for
                           ///< rounded y.
  double own_forward_rms;
  double one_within;    ///< Distance from 1 beyond the point where f' is within half of it.
  double left_at_zero;  ///< |f'| for y = -0 on the left branch: a tail that underflowed.
};

inline AcceptanceThreshold acceptance_threshold(Storage storage) {
  switch (storage) {
    case Storage::kBFloat16:
      return {1.05, 1.10, 1e-5, 4e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
    case Storage::kFloat16:
      return {1.06, 1.15, 2e-6, 1e-4, 1.2, 0, 0, 0x1p-12, 1e-4};
    case Storage::kFloat32:
    case Storage::kFloat64:
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
inline PublishedLimit published_limit(const std::string& function, Storage storage) {
  if (storage == Storage::kBFloat16) {
    if (function == "Gelu") return {1.41e-3, 1.06e-2};
    return function == "GeluTanh" ? PublishedLimit{1.45e-3, 1.06e-2}
                                  : PublishedLimit{1.51e-3, 1.14e-2};
  }
  if (storage == Storage::kFloat16) {
    if (function == "Gelu") return {3.73e-4, 4.84e-3};
    return function == "GeluTanh" ? PublishedLimit{2.87e-4, 3.52e-3}
                                  : PublishedLimit{3.13e-4, 3.77e-3};
  }
  if (function == "Gelu") return {3.22e-7, 3.90e-5};
  return function == "GeluTanh" ? PublishedLimit{3.33e-7, 4.12e-5}
                                : PublishedLimit{3.81e-7, 4.43e-5};
}
/// Two digits are published; float32 blocks are a sample of the codes that were enumerated there.
constexpr double kPublishedAgreement = 0.01;
constexpr double kPublishedSampleAgreement = 0.05;

/// Gradient level, g ~ N(0, 1): rms of the error of RN(g f') over sqrt(limit^2 + rounding^2)
/// (facts, section 6).
constexpr double kGradientFactor = 1.05;

/// AVX2 against baseline: the same formula with and without fused multiply-adds. The bfloat16
/// polynomials amplify a rounding most, far out on the right: what section 6 allows there, a
/// sixteenth of half a bfloat16 ulp.
inline double instruction_set_agreement(Storage storage) {
  return storage == Storage::kBFloat16 ? 0x1p-12 : 1e-5;
}

}  // namespace invact::testing
