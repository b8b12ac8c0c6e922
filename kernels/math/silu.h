// SiLU (swish): value, derivative from the input, and (by OneMinimum) derivative from the output.
// Part of kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include "kernels/math/host_device.h"
#include "kernels/math/one_minimum.h"
#include "kernels/math/silu_coefficients.h"

namespace invact::kernels::math {

/// f(x) = x / (1 + e^-x). Error bounds of the derivative from the output: catalog.cpp, which the
/// tests Silu/* of tests/kernels/activation/derivative_test.cpp prove. Source: ATen silu.
struct Silu : OneMinimum<Silu, SiluCoefficients> {
  static constexpr const char* kName = "silu";
  static constexpr double kLeftmost = -700.0;  ///< exp(-x) overflows beyond it.

  INVACT_HOST_DEVICE double value(double x) const { return x * sigmoid(x); }
  INVACT_HOST_DEVICE double derivative(double x) const {
    return sigmoid(x) * (1.0 + x * sigmoid(-x));
  }

 private:
  INVACT_HOST_DEVICE static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
};

}  // namespace invact::kernels::math
