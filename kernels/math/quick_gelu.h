// QuickGELU: value, derivative from the input, and (by OneMinimum) derivative from the output. Part
// of kernels/math: no torch, no allocation.
#pragma once

#include <math.h>

#include "kernels/math/host_device.h"
#include "kernels/math/one_minimum.h"
#include "kernels/math/quick_gelu_coefficients.h"

namespace invact::kernels::math {

/// f(x) = x / (1 + e^(-1.702 x)). Error bounds of the derivative from the output: catalog.cpp,
/// which the tests QuickGelu/* of tests/kernels/activation/derivative_test.cpp prove. ATen has no
/// such operator: models write it out (CLIP, and its descendants in transformers).
struct QuickGelu : OneMinimum<QuickGelu, QuickGeluCoefficients> {
  static constexpr const char* kName = "quick_gelu";
  static constexpr double kRate = 1.702;       ///< Defines the function.
  static constexpr double kLeftmost = -400.0;  ///< exp(-1.702 x) overflows beyond it.

  INVACT_HOST_DEVICE double value(double x) const { return x * sigmoid(kRate * x); }
  INVACT_HOST_DEVICE double derivative(double x) const {
    const double u = kRate * x;
    return sigmoid(u) * (1.0 + u * sigmoid(-u));
  }

 private:
  INVACT_HOST_DEVICE static double sigmoid(double u) { return 1.0 / (1.0 + exp(-u)); }
};

}  // namespace invact::kernels::math
