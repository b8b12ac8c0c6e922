// float64: f'(x) from y = f(x) by solving for x, for the same functions as forms.h. Near the
// minimum, where the equation is ill-conditioned, a series in sqrt(y - y*) replaces the solver.
// Part of kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include "kernels/math/forms.h"
#include "kernels/math/host_device.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::math {

/// Newton's error squares with each step: the one after a step this small would be below rounding.
constexpr double kLastStep = 1e-9;

/// x on the right branch. Newton from above: f is convex up to its inflection and nearly linear
/// after it; a step that leaves the bracket is replaced by a bisection, so the loop ends whatever
/// the function does.
template <class C, class Function>
INVACT_HOST_DEVICE double solve_right(const Function& f, double y) {
  double low = C::kMinimumX;
  double high = y - C::kMinimumYHigh;  // x - f(x) <= -y* for every x of this branch
  double x = high;
  constexpr int kMaxSteps = 64;
  for (int i = 0; i < kMaxSteps; ++i) {
    const double residual = f.value(x) - y;
    (residual > 0 ? high : low) = x;
    const double step = -residual / f.derivative(x);
    if (fabs(step) <= kLastStep) return x + step;
    x = x + step > low && x + step < high ? x + step : 0.5 * (low + high);
  }
  return x;
}

/// x on the left branch, for y* < y < 0. Newton on ln(f(x) / y), which is close to linear far out
/// where f underflows.
template <class C, class Function>
INVACT_HOST_DEVICE double solve_left(const Function& f, double y) {
  double low = Function::kLeftmost;
  double high = C::kMinimumX;
  // f ~ y* + f''(x*) (x - x*)^2 / 2, hence ln(y* / y) ~ f'' (x - x*)^2 / (2 |y*|).
  const double log_ratio = log(C::kMinimumYHigh / y);
  double x = high - sqrt(-2.0 * C::kMinimumYHigh * log_ratio / C::kCurvature);
  x = at_least(x, 0.5 * (low + high));
  constexpr int kMaxSteps = 128;
  for (int i = 0; i < kMaxSteps; ++i) {
    const double value = f.value(x);
    (value < y ? high : low) = x;
    const double step = -value * log(value / y) / f.derivative(x);
    if (fabs(step) <= kLastStep) return x + step;
    x = x + step > low && x + step < high ? x + step : 0.5 * (low + high);
  }
  return x;
}

/// f'(x) from y and the branch. @see forms.h for what NaN, infinities and unreachable y give.
template <class C, class Function>
INVACT_HOST_DEVICE double float64_form(const Function& f, double y, bool left) {
  // f' there is below 1e-276; f(x) / y stays away from subnormals.
  constexpr double kVanishing = -1e-280;
  if (is_nan(y)) return y;
  const double distance = at_least((y - C::kMinimumYHigh) - C::kMinimumYLow, C::kDistanceFloor);
  if (distance <= C::kSeriesRadius * C::kSeriesRadius) {
    const double s = left ? -sqrt(distance) : sqrt(distance);
    return s * evaluate(C::series(), s);
  }
  if (left) return y >= kVanishing ? 0.0 : f.derivative(solve_left<C>(f, y));
  return y >= C::kRightEnd ? 1.0 : f.derivative(solve_right<C>(f, y));
}

}  // namespace invact::kernels::math
