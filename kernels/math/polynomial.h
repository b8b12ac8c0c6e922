// Polynomials with coefficients known at compile time. Part of kernels/math: no torch, no
// allocation.
#pragma once

#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// Coefficients of 1, v, v^2, ...
template <class Real, int kCount>
struct Polynomial {
  Real coefficients[kCount];
};

/// Horner's scheme. Recursive, so that it unrolls before the vectoriser looks at the loop around
/// it.
template <int kFirst = 0, class Real, int kCount>
INVACT_HOST_DEVICE constexpr Real evaluate(const Polynomial<Real, kCount>& polynomial, Real v) {
  if constexpr (kFirst + 1 == kCount) {
    return polynomial.coefficients[kFirst];
  } else {
    return evaluate<kFirst + 1>(polynomial, v) * v + polynomial.coefficients[kFirst];
  }
}

}  // namespace invact::kernels::math
