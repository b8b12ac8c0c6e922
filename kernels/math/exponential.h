// 1 - e^-t for t >= 0, which keeps its digits where t is small. In float without calls, so that the
// loops around it vectorise. Part of kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/math/exponential_coefficients.h"
#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::math {

// NaN gives NaN, t < 0 (which no output makes) gives 0.
INVACT_HOST_DEVICE double one_minus_exp(double t) {
  return is_nan(t) ? t : -expm1(-at_least(t, 0.0));
}

/// Error: an ulp or two of the result.
template <class Real>
INVACT_HOST_DEVICE Real one_minus_exp(Real t) {
#if defined(__CUDA_ARCH__)
  return is_nan(t) ? t : -expm1f(-at_least(t, 0.0f));
#else
  // t = n ln 2 + r with |r| <= ln 2 / 2; e^-t = 2^-n e^-r.
  constexpr float kInverseLn2 = static_cast<float>(M_LOG2E);
  constexpr float kLn2High = 0x1.62e4p-1f;  // n * kLn2High is exact for the n that occur
  constexpr float kLn2Low = static_cast<float>(M_LN2 - static_cast<double>(kLn2High));
  constexpr double kLast = 60.0;          // e^-60 is far below half an ulp of 1
  constexpr float kRounding = 0x1.8p23f;  // adding it rounds to an integer, in the low bits
  constexpr int32_t kExponentOfOne = 127;
  constexpr int32_t kLargestN = 0x7f;
  constexpr int kMantissaBits = 23;
  const Real bounded = nan_or_at_most(nan_or_at_least(t, splat<Real>(0)), splat<Real>(kLast));
  const Real shifted = bounded * kInverseLn2 + kRounding;
  const Real n = shifted - kRounding;
  const Real r = (bounded - n * kLn2High) - n * kLn2Low;
  const Real near = r * evaluate(ExponentialCoefficients::series(), r);  // 1 - e^-r
  const Real power = as_real((kExponentOfOne - (as_bits(shifted) & kLargestN)) << kMantissaBits);
  return (splat<Real>(1) - power) + power * near;
#endif
}

}  // namespace invact::kernels::math
