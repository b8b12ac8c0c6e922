// float32 near the minimum: what the stored output cannot say. There y determines x badly (f' errs
// by sqrt(2 f'' dy) for an error dy of y, and ATen's y is up to 8 ulp off), so that the few
// elements with |x - x*| < 0.02 carry nearly the whole error of a gradient. Six more bits for each
// of them are to be had for nothing: an output above zero needs no branch bit. cpu/refinement.h
// says in whose places they lie. Part of kernels/math: no torch, no allocation.
//
// A code of 1 to 63 places the true root s = sqrt(f(x) - y*) in the interval that y leaves open; 0
// says nothing.
#pragma once

#include <math.h>

#include "kernels/math/forms.h"
#include "kernels/math/host_device.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::math {

constexpr int kRefinementBits = 6;
constexpr int kRefinementSteps = (1 << kRefinementBits) - 1;
/// y - y* of an output that is refined, at most: beyond it an ulp of y moves f' by less than 1e-6,
/// and a word of 64 outputs of normal inputs holds fewer than one that is.
constexpr float kRefinementWindow = 0x1p-14f;
/// How far ATen's y may lie from f(x): 16 ulp of GELU's minimum, twice what was measured
/// (tests/kernels/activation/own_forward_test.cpp). A larger error is cut to it.
constexpr float kForwardError = 0x1p-22f;

template <class C>
INVACT_HOST_DEVICE float distance_to_minimum(float y) {
  return (y - C::kMinimumYHigh) - C::kMinimumYLow;
}

/// The roots that an output leaves possible.
struct RootInterval {
  float low;
  float width;
};

template <class C>
INVACT_HOST_DEVICE RootInterval root_interval(float y) {
  const float distance = distance_to_minimum<C>(y);
  const float low = sqrtf(at_least(distance - kForwardError, 0.0f));
  return {low, sqrtf(at_least(distance + kForwardError, kForwardError)) - low};
}

/// s = sqrt(f(x) - y*) with the sign of x - x*, by the first terms of its series in x - x*. Within
/// the window the next term is below a sixteenth of a code's step. The coefficients follow from the
/// float64 series f' = s P(s): ds/dx = P(s) / 2.
template <class C64>
INVACT_HOST_DEVICE float signed_root(float x) {
  constexpr auto kSeries = C64::series();
  constexpr double kP0 = kSeries.coefficients[0];
  constexpr double kP1 = kSeries.coefficients[1];
  constexpr double kP2 = kSeries.coefficients[2];
  constexpr Polynomial<float, 4> kRoot = {
      {0.0f, static_cast<float>(kP0 / 2), static_cast<float>(kP0 * kP1 / 8),
       static_cast<float>(kP0 * (kP1 * kP1 + 2 * kP0 * kP2) / 48)}};
  constexpr float kMinimumXHigh = static_cast<float>(C64::kMinimumX);
  constexpr float kMinimumXLow =
      static_cast<float>(C64::kMinimumX - static_cast<double>(kMinimumXHigh));
  return evaluate(kRoot, (x - kMinimumXHigh) - kMinimumXLow);
}

/// The code for an input x whose output was stored as y.
template <class C64, class C32>
INVACT_HOST_DEVICE int refinement_code(float x, float y) {
  const RootInterval interval = root_interval<C32>(y);
  const float position =
      (fabsf(signed_root<C64>(x)) - interval.low) / interval.width * kRefinementSteps;
  return 1 + static_cast<int>(at_most(at_least(position, 0.0f), kRefinementSteps - 1.0f));
}

/// f'(x) from the output, the branch and a code that is not 0. Four terms of the float64 series:
/// the fifth is below 1e-9.
template <class C64, class C32>
INVACT_HOST_DEVICE float refined_form(float y, int code, bool left) {
  constexpr auto kSeries = C64::series();
  constexpr Polynomial<float, 4> kTerms = {
      {static_cast<float>(kSeries.coefficients[0]), static_cast<float>(kSeries.coefficients[1]),
       static_cast<float>(kSeries.coefficients[2]), static_cast<float>(kSeries.coefficients[3])}};
  const RootInterval interval = root_interval<C32>(y);
  const float root =
      interval.low + (static_cast<float>(code) - 0.5f) / kRefinementSteps * interval.width;
  const float s = left ? -root : root;
  return s * evaluate(kTerms, s);
}

}  // namespace invact::kernels::math
