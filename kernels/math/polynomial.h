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

/// Horner's scheme. Recursive, so that it unrolls at once. `Number` is the coefficients' type or
/// several of them side by side (lanes.h).
template <int kFirst = 0, class Real, int kCount, class Number>
INVACT_HOST_DEVICE constexpr Number evaluate(const Polynomial<Real, kCount>& polynomial, Number v) {
  if constexpr (kFirst + 2 == kCount) {
    return v * polynomial.coefficients[kFirst + 1] + polynomial.coefficients[kFirst];
  } else {
    return evaluate<kFirst + 1>(polynomial, v) * v + polynomial.coefficients[kFirst];
  }
}

}  // namespace invact::kernels::math
