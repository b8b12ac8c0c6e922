// Squared ReLU: the derivative from the output. Part of kernels/math: no torch, no allocation.
#pragma once

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::math {

/// f(x) = max(x, 0)^2; f' = 2 sqrt(y). ATen has no such operator: models write it out. Source: So
/// et al., "Primer", arXiv 2109.08668.
///
/// The root of a rounded square, rounded, is the number that was squared: f' is exact, though it
/// has no bound, where y is a normal number. Below, y runs out of digits, and f' is off by at most
/// the root of the smallest subnormal times sqrt(2): 3.5e-4 in float16, 1.4e-20 in bfloat16. Where
/// the square overflowed y is infinite for every x beyond; f' of the largest finite output is
/// given there, the least that it can be: finite, so that a gradient of zero stays zero.
struct SquaredRelu {
  static constexpr const char* kName = "squared_relu";
  static constexpr int kBranchBits = 0;
  static constexpr bool kRefines = false;

  /// f'(x) from y = f(x) as stored; the second argument, a branch, means nothing here.
  template <class Real>
  INVACT_HOST_DEVICE Real from_float32(Real y, Mask<Real>) const {
    return derivative(y, root(y, 0x1.fffffep127));
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_bfloat16(Real y, Mask<Real>) const {
    return derivative(y, without_last<16>(root(y, 0x1.fep127)));
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_float16(Real y, Mask<Real>) const {
    // A root of a half is a normal half, even of a subnormal one.
    return derivative(y, without_last<13>(root(y, 65504.0)));
  }
  INVACT_HOST_DEVICE double from_float64(double y, bool) const {
    return derivative(y, root(y, 0x1.fffffffffffffp1023));
  }

 private:
  template <class Real>
  INVACT_HOST_DEVICE static Real root(Real y, double largest) {
    return square_root(at_most(y, splat<Real>(largest)));
  }
  /// To nearest, ties to even; float's digits are enough for rounding twice to do no harm.
  template <int kBits, class Real>
  INVACT_HOST_DEVICE static Real without_last(Real v) {
    const Bits<Real> bits = as_bits(v);
    return as_real((bits + ((1 << (kBits - 1)) - 1) + (bits >> kBits & 1)) & -(1 << kBits));
  }
  template <class Real>
  INVACT_HOST_DEVICE static Real derivative(Real y, Real x) {
    const Real positive = choose(y > splat<Real>(0), x + x, splat<Real>(0));
    return choose(is_nan(y), y, positive);
  }
};

}  // namespace invact::kernels::math
