// f'(x) from the stored output y = f(x) and the branch bit, one form per element type, for
// functions that have one minimum y* = f(x*), tend to 0 on its left and to x on its right. What the
// forms are: fit/forms.py. Coefficients and the function itself come in as template arguments. Part
// of kernels/math: no torch, no allocation.
//
// All forms: NaN gives NaN, every other y gives a finite value on either branch (also y that no x
// has), y = +inf gives 1. `Real` is a float or several (lanes.h), `left` the mask of the left
// branch.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"
#include "kernels/math/logarithm_coefficients.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::math {

/// -ln(1 - t) for the left branch, where 1 - t = y / y* = ratio. Computed from t near 0, because
/// y / y* has lost digits there.
template <class Real>
INVACT_HOST_DEVICE Real negative_log1m(Real t, Real ratio) {
  constexpr float kLn2 = static_cast<float>(M_LN2);
#if defined(__CUDA_ARCH__)
  // lg2.approx is off by 2^-22 absolutely near 1 (CUDA C++ Programming Guide, intrinsic functions):
  // not usable for t ~ 0.
  const float near = t - t * t * evaluate(LogarithmCoefficients::series(), -t);
  return 3.0f * t < 1.0f ? near : -kLn2 * __log2f(ratio);
#else
  constexpr int32_t kTwoThirds = 0x3f2aaaab;  // bits of 2/3: mantissas are taken in [2/3, 4/3)
  constexpr int32_t kMantissa = 0x007fffff;
  constexpr int kMantissaBits = 23;
  const Bits<Real> shifted = as_bits(ratio) - kTwoThirds;
  const Real mantissa = as_real((shifted & kMantissa) + kTwoThirds);
  const Real exponent = to_real(shifted >> kMantissaBits);  // 0 where 1 - t >= 2/3
  const Real r = choose(shifted >= 0, -t, mantissa - 1.0f);
  return -(exponent * kLn2 + (r + r * r * evaluate(LogarithmCoefficients::series(), r)));
#endif
}

/// y - y*, with y* as a sum of two floats: with one, the error near the minimum grows by half
/// (facts: section 4).
template <class C, class Real>
INVACT_HOST_DEVICE Real float32_distance(Real y) {
  return at_least((y - C::kMinimumYHigh) - C::kMinimumYLow, splat<Real>(C::kDistanceFloor));
}

/// s = sqrt(y - y*), at most kRightEnd.
template <class C, class Real>
INVACT_HOST_DEVICE Real float32_right_root(Real y) {
  return at_most(square_root(float32_distance<C>(y)), splat<Real>(C::kRightEnd));
}

/// w = sqrt(ln(y* / y)), at most kLeftEnd; `negative_y` from float32_left_factor().
template <class C, class Real>
INVACT_HOST_DEVICE Real float32_left_root(Real y, Real negative_y) {
  // Far below exp(-kLeftEnd^2): it only keeps the logarithm finite.
  constexpr float kSmallestRatio = 0x1p-100f;
  const Real t = at_most(float32_distance<C>(y) * C::kInverseMagnitude, splat<Real>(1));
  const Real ratio = at_least(negative_y * -C::kInverseMagnitude, splat<Real>(kSmallestRatio));
  const Real logarithm = at_least(negative_log1m(t, ratio), splat<Real>(0));
  return at_most(square_root(logarithm), splat<Real>(C::kLeftEnd));
}

/// y where it can lie on the left branch, the nearest such number elsewhere.
template <class C, class Real>
INVACT_HOST_DEVICE Real float32_left_factor(Real y) {
  return at_least(at_most(y, splat<Real>(0)), splat<Real>(C::kMinimumYHigh));
}

/// float32: right s * P(s - c) / Q(s - c), left y * w * P(w) / Q(w), by one division. What both
/// compute is interleaved: the two are chains of dependent instructions, and a processor that runs
/// them side by side should find them side by side.
template <class C, class Real>
INVACT_HOST_DEVICE Real float32_form(Real y, Mask<Real> left) {
  const Real s = float32_right_root<C>(y);
  const Real z = s - C::kRightCentre;
  const Real negative_y = float32_left_factor<C>(y);
  const Real w = float32_left_root<C>(y, negative_y);
  const Real right_numerator = evaluate(C::right_numerator(), z) * s;
  const Real left_numerator = evaluate(C::left_numerator(), w) * w * negative_y;
  const Real right_denominator = evaluate(C::right_denominator(), z);
  const Real left_denominator = evaluate(C::left_denominator(), w);
  const Real numerator = choose(left, left_numerator, right_numerator);
  const Real denominator = choose(left, left_denominator, right_denominator);
  const Real quotient = numerator / denominator;
  const Real right_value = choose(s >= C::kRightEnd, splat<Real>(1), quotient);
  const Real value = choose(left, quotient, right_value);
  return choose(is_nan(y), y, value);
}

/// s = sqrt(y - y0), at most kRightEnd, of the 16-bit forms: y0 near y* is each branch's own.
template <class C, class Real>
INVACT_HOST_DEVICE Real chosen_root(Real y, Mask<Real> left) {
  const Real zero = splat<Real>(0);
  const Real origin = choose(left, splat<Real>(C::kLeftOrigin), splat<Real>(C::kRightOrigin));
  const Real reachable = choose(left, at_most(y, zero), y);
  const Real distance = at_least(reachable - origin, zero);
  return at_most(square_root(distance), splat<Real>(C::kRightEnd));
}

/// bfloat16: right P(s), left y * P(s).
template <class C, class Real>
INVACT_HOST_DEVICE Real polynomial_form(Real y, Mask<Real> left) {
  const Real s = chosen_root<C>(y, left);
  const Real polynomial = evaluate_chosen(left, C::left_numerator(), C::right_numerator(), s);
  const Real left_factor = at_least(at_most(y, splat<Real>(0)), splat<Real>(C::kLeftOrigin));
  const Real right_value = choose(s >= C::kRightEnd, splat<Real>(1), polynomial);
  const Real value = choose(left, polynomial * left_factor, right_value);
  return choose(is_nan(y), y, value);
}

/// float16: P(s) / Q(s) on either branch.
template <class C, class Real>
INVACT_HOST_DEVICE Real rational_form(Real y, Mask<Real> left) {
  const Real s = chosen_root<C>(y, left);
  const Real numerator = evaluate_chosen(left, C::left_numerator(), C::right_numerator(), s);
  const Real denominator = evaluate_chosen(left, C::left_denominator(), C::right_denominator(), s);
  const Real quotient = numerator / denominator;
  const Real right_value = choose(s >= C::kRightEnd, splat<Real>(1), quotient);
  const Real value = choose(left, quotient, right_value);
  return choose(is_nan(y), y, value);
}

}  // namespace invact::kernels::math
