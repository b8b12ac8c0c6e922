// Mish: value, derivative from the input, and (by OneMinimum) derivative from the output. Part of
// kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include "kernels/math/host_device.h"
#include "kernels/math/mish_coefficients.h"
#include "kernels/math/one_minimum.h"

namespace invact::kernels::math {

/// f(x) = x tanh(ln(1 + e^x)). Error bounds of the derivative from the output: catalog.cpp, which
/// the tests Mish/* of tests/kernels/activation/derivative_test.cpp prove. Source: ATen mish.
struct Mish : OneMinimum<Mish, MishCoefficients> {
  static constexpr const char* kName = "mish";
  static constexpr double kLeftmost = -700.0;  ///< exp(-x) overflows beyond it.

  INVACT_HOST_DEVICE double value(double x) const { return x * gate(x).value; }
  INVACT_HOST_DEVICE double derivative(double x) const {
    const Gate g = gate(x);
    return g.value + x * g.derivative;
  }

 private:
  struct Gate {
    double value;
    double derivative;
  };
  // tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2) with e = exp(x); for x > 0 multiplied out with
  // exp(-2 x), so that nothing overflows and no digit is lost in either tail.
  INVACT_HOST_DEVICE static Gate gate(double x) {
    const double e = exp(-fabs(x));
    const double numerator = x < 0 ? e * (e + 2.0) : 1.0 + 2.0 * e;
    const double denominator = numerator + (x < 0 ? 2.0 : 2.0 * e * e);
    const double root = 2.0 * (1.0 + e) * (x < 0 ? 1.0 : e) / denominator;  // sech(ln(1 + e^x))
    const double sigmoid = (x < 0 ? e : 1.0) / (1.0 + e);
    return {numerator / denominator, root * root * sigmoid};
  }
};

}  // namespace invact::kernels::math
