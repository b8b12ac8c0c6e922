// Polynomials with coefficients known at compile time. Part of kernels/math: no torch, no
// allocation.
#pragma once

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

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

/// Both polynomials in one, `left` where the mask holds: one Horner scheme with chosen coefficients
/// has fewer products, where a choice is an instruction of its own kind. `right` has the higher
/// degree.
template <int kFirst = 0, class Real, int kLeft, int kRight, class Number>
INVACT_HOST_DEVICE Number evaluate_chosen(Mask<Number> mask, const Polynomial<Real, kLeft>& left,
                                          const Polynomial<Real, kRight>& right, Number v) {
#if defined(__AVX512F__)
  static_assert(kLeft < kRight);
  const Number left_coefficient = splat<Number>(static_cast<double>(left.coefficients[kFirst]));
  if constexpr (kFirst + 1 == kLeft) {
    return choose(mask, left_coefficient, evaluate<kFirst>(right, v));
  } else {
    const Number right_coefficient = splat<Number>(static_cast<double>(right.coefficients[kFirst]));
    return evaluate_chosen<kFirst + 1>(mask, left, right, v) * v +
           choose(mask, left_coefficient, right_coefficient);
  }
#else
  return choose(mask, evaluate(left, v), evaluate(right, v));
#endif
}

}  // namespace invact::kernels::math
