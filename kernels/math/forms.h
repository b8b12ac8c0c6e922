// f'(x) from the stored output y = f(x) and the branch bit, one form per storage dtype, for
// functions that have one minimum y* = f(x*), tend to 0 on its left and to x on its right. What the
// forms are: fit/forms.py. Coefficients and the function itself come in as template arguments. Part
// of kernels/math: no torch, no allocation.
//
// All forms: NaN gives NaN, every other y gives a finite value on either branch (also y that no x
// has), y = +inf gives 1. Written with selections instead of branches so that the loops around them
// vectorise.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/math/host_device.h"
#include "kernels/math/logarithm_coefficients.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::math {

// Comparisons with a NaN on the left choose the bound; each form returns the NaN at its end.
template <class Real>
INVACT_HOST_DEVICE Real at_least(Real v, Real bound) {
  return v > bound ? v : bound;
}

template <class Real>
INVACT_HOST_DEVICE Real at_most(Real v, Real bound) {
  return v < bound ? v : bound;
}

/// -ln(1 - t) for the left branch, where 1 - t = y / y*. Computed from t near 0, because y / y* has
/// lost digits there.
INVACT_HOST_DEVICE float negative_log1m(float t, float ratio) {
  constexpr float kLn2 = static_cast<float>(M_LN2);
#if defined(__CUDA_ARCH__)
  // lg2.approx is off by 2^-22 absolutely near 1 (CUDA C++ Programming Guide, intrinsic functions):
  // not usable for t ~ 0.
  const float near = t - t * t * evaluate(LogarithmCoefficients::tail(), -t);
  return 3.0f * t < 1.0f ? near : -kLn2 * __log2f(ratio);
#else
  constexpr int32_t kTwoThirds = 0x3f2aaaab;  // bits of 2/3: mantissas are taken in [2/3, 4/3)
  const int32_t shifted = __builtin_bit_cast(int32_t, ratio) - kTwoThirds;
  const float mantissa = __builtin_bit_cast(float, (shifted & 0x007fffff) + kTwoThirds);
  const bool near = shifted >= 0;
  const float r = near ? -t : mantissa - 1.0f;
  const float exponent = near ? 0.0f : static_cast<float>(shifted >> 23);
  return -(exponent * kLn2 + (r + r * r * evaluate(LogarithmCoefficients::tail(), r)));
#endif
}

/// float32: right s * P(s - c) / Q(s - c), left y * w * P(w) / Q(w); s = sqrt(y - y*), w =
/// sqrt(ln(y* / y)).
template <class C>
INVACT_HOST_DEVICE float float32_form(float y, bool left) {
  // y* as a sum of two floats: with one, the error near the minimum grows by half (facts: section
  // 4).
  const float distance = at_least((y - C::kMinimumYHigh) - C::kMinimumYLow, C::kDistanceFloor);
  const float s = at_most(sqrtf(distance), C::kRightEnd);
  const float z = s - C::kRightCentre;

  constexpr float kSmallestRatio =
      0x1p-100f;  // far below exp(-kLeftEnd^2): only keeps the logarithm finite
  const float negative_y = at_least(at_most(y, 0.0f), C::kMinimumYHigh);
  const float t = at_most(distance * C::kInverseMagnitude, 1.0f);
  const float ratio = at_least(negative_y * -C::kInverseMagnitude, kSmallestRatio);
  const float w = at_most(sqrtf(at_least(negative_log1m(t, ratio), 0.0f)), C::kLeftEnd);

  const float right_numerator = evaluate(C::right_numerator(), z) * s;
  const float left_numerator = evaluate(C::left_numerator(), w) * w * negative_y;
  const float right_denominator = evaluate(C::right_denominator(), z);
  const float left_denominator = evaluate(C::left_denominator(), w);
  const float quotient =
      (left ? left_numerator : right_numerator) / (left ? left_denominator : right_denominator);
  const float value = !left && s >= C::kRightEnd ? 1.0f : quotient;
  return y != y ? y : value;
}

/// bfloat16: right P(s), left y * P(s), s = sqrt(y - y0) with each branch's own y0 near y*.
template <class C>
INVACT_HOST_DEVICE float polynomial_form(float y, bool left) {
  const float negative_y = at_most(y, 0.0f);
  const float distance = at_least(left ? negative_y - C::kLeftOrigin : y - C::kRightOrigin, 0.0f);
  const float s = at_most(sqrtf(distance), C::kRightEnd);
  const float left_value = evaluate(C::left_numerator(), s) * at_least(negative_y, C::kLeftOrigin);
  const float right_value = s >= C::kRightEnd ? 1.0f : evaluate(C::right_numerator(), s);
  const float value = left ? left_value : right_value;
  return y != y ? y : value;
}

/// float16: P(s) / Q(s) on either branch, s = sqrt(y - y0) with each branch's own y0 near y*.
template <class C>
INVACT_HOST_DEVICE float rational_form(float y, bool left) {
  const float distance =
      at_least(left ? at_most(y, 0.0f) - C::kLeftOrigin : y - C::kRightOrigin, 0.0f);
  const float s = at_most(sqrtf(distance), C::kRightEnd);
  const float numerator =
      left ? evaluate(C::left_numerator(), s) : evaluate(C::right_numerator(), s);
  const float denominator =
      left ? evaluate(C::left_denominator(), s) : evaluate(C::right_denominator(), s);
  const float value = !left && s >= C::kRightEnd ? 1.0f : numerator / denominator;
  return y != y ? y : value;
}

}  // namespace invact::kernels::math
