// Hardswish: the derivative from the output and the branch bit. Part of kernels/math: no torch, no
// allocation.
#pragma once

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::math {

/// f(x) = x (x + 3) / 6 for -3 < x < 3, 0 below, x above; minimum y* = -3/8 at x* = -3/2. Between,
/// f' = -+sqrt(2/3 (y - y*)). Error bounds: catalog.cpp, which the tests Hardswish/* of
/// tests/kernels/activation/derivative_test.cpp prove. Source: ATen hardswish.
struct Hardswish {
  static constexpr const char* kName = "hardswish";
  static constexpr int kBranchBits = 1;
  static constexpr bool kRefines = false;

  template <class Real>
  INVACT_HOST_DEVICE static constexpr Real first_right() {
    return Real(-1.5);
  }

  /// f(x) by ATen's operations in ATen's order, each of them IEEE's: the same bits for every x but
  /// those that give NaN, whose payloads may differ.
  template <class Real>
  INVACT_HOST_DEVICE Real value(Real x) const {
    const Real from_zero = nan_or_at_least(x + splat<Real>(3), splat<Real>(0));
    return x * nan_or_at_most(from_zero, splat<Real>(6)) / splat<Real>(6);
  }

  // What replaces a smaller y - y*: an eighth of an ulp, so that the output at the minimum gives
  // the mean f' of the inputs that round to it.
  template <class Real>
  INVACT_HOST_DEVICE Real from_float32(Real y, Mask<Real> left) const {
    return derivative(y, left, 0x1p-28);
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_bfloat16(Real y, Mask<Real> left) const {
    return derivative(y, left, 0x1p-12);
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_float16(Real y, Mask<Real> left) const {
    return derivative(y, left, 0x1p-15);
  }
  INVACT_HOST_DEVICE double from_float64(double y, bool left) const {
    return derivative(y, left, 0x1p-57);
  }

 private:
  template <class Real>
  INVACT_HOST_DEVICE Real derivative(Real y, Mask<Real> left, double floor) const {
    const Real zero = splat<Real>(0);
    const Real distance = nan_or_at_least(y + splat<Real>(0.375), splat<Real>(floor));
    const Real magnitude = square_root(distance * splat<Real>(2.0 / 3.0));
    const Real left_value = choose(y >= zero, zero, -magnitude);  // 0: the flat part below -3
    const Real right_value = choose(y >= splat<Real>(3), splat<Real>(1), magnitude);
    return choose(left, left_value, right_value);
  }
};

}  // namespace invact::kernels::math
