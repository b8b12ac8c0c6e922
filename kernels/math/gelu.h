// GELU and its tanh approximation: value, derivative from the input, and (by OneMinimum) derivative
// from the output. The two have different minima, so they never share coefficients. Part of
// kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include "kernels/math/gelu_coefficients.h"
#include "kernels/math/gelu_tanh_coefficients.h"
#include "kernels/math/host_device.h"
#include "kernels/math/one_minimum.h"

namespace invact::kernels::math {

/// f(x) = x Phi(x), `approximate='none'`. Error bounds of the derivative from the output:
/// catalog.cpp, which the tests GeluErf/* of tests/kernels/activation/derivative_test.cpp prove.
/// Source: ATen gelu.
struct Gelu : OneMinimum<Gelu, GeluCoefficients> {
  static constexpr const char* kName = "gelu";
  static constexpr double kLeftmost = -40.0;  ///< f underflows before it.

  INVACT_HOST_DEVICE double value(double x) const { return x * cumulative(x); }
  INVACT_HOST_DEVICE double derivative(double x) const {
    constexpr double kInverseSqrtTwoPi = 0.5 * M_2_SQRTPI * M_SQRT1_2;
    return cumulative(x) + x * kInverseSqrtTwoPi * exp(-0.5 * x * x);
  }

 private:
  // erfc keeps its relative accuracy in the left tail, where 1 + erf has none.
  INVACT_HOST_DEVICE static double cumulative(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
};

/// The same function where a model writes it out, x * 0.5 * (1 + erf(x / sqrt 2)): with a forward
/// of its own (operators.h).
struct ErfGelu : Gelu {
  static constexpr const char* kName = "erf_gelu";
};

/// f(x) = x (1 + tanh(k (x + c x^3))) / 2, `approximate='tanh'`. Error bounds: as for Gelu, tests
/// GeluTanh/*.
struct GeluTanh : OneMinimum<GeluTanh, GeluTanhCoefficients> {
  static constexpr const char* kName = "gelu_tanh";
  static constexpr double kLeftmost = -40.0;

  INVACT_HOST_DEVICE double value(double x) const { return x * gate(x); }
  INVACT_HOST_DEVICE double derivative(double x) const {
    const double g = gate(x);
    return g + x * g * gate(-x) * 2.0 * kScale * (1.0 + 3.0 * kCubic * x * x);
  }

 private:
  static constexpr double kScale = M_2_SQRTPI * M_SQRT1_2;  // sqrt(2 / pi)
  static constexpr double kCubic = 0.044715;                // defines the function (ATen: gelu)
  // (1 + tanh(u)) / 2, written so that the left tail keeps its relative accuracy.
  INVACT_HOST_DEVICE static double gate(double x) {
    return 1.0 / (1.0 + exp(-2.0 * kScale * (x + kCubic * x * x * x)));
  }
};

}  // namespace invact::kernels::math
