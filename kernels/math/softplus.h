// Softplus and the logarithm of the sigmoid: derivatives from the output. Part of kernels/math: no
// torch, no allocation.
#pragma once

#include <array>

#include "kernels/math/closed_form.h"
#include "kernels/math/exponential.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// f(x) = ln(1 + e^(beta x)) / beta, and x where beta x > threshold. f' = 1 - e^(-beta y), and 1
/// there. Source: ATen softplus.
struct Softplus : ClosedForm<Softplus> {
  static constexpr const char* kName = "softplus";
  static constexpr int kParameterCount = 2;
  /// From here on the jump at the threshold, e^-threshold in f and in f', is at most 2.1e-9: y
  /// decides on which side x lay but for a sliver of that width. A lower threshold makes a jump
  /// that y does not determine.
  static constexpr double kLowestThreshold = 20.0;

  double beta;
  double threshold;

  constexpr Softplus(double beta_value, double threshold_value)
      : beta(beta_value), threshold(threshold_value) {}

  constexpr std::array<double, kParameterCount> parameters() const { return {beta, threshold}; }
  constexpr bool is_invertible() const { return beta > 0 && threshold >= kLowestThreshold; }

  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    const Real t = y * splat<Real>(beta);
    const Real below = one_minus_exp(t);
    if constexpr (sizeof(Real) == sizeof(double)) {
      return t > threshold ? 1.0 : below;
    } else {
      return below;  // beyond the lowest threshold a float's 1 - e^-t is 1
    }
  }
};

/// f(x) = -ln(1 + e^-x) <= 0; f' = 1 - e^y. Source: ATen log_sigmoid.
struct LogSigmoid : ClosedForm<LogSigmoid> {
  static constexpr const char* kName = "log_sigmoid";

  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    return one_minus_exp(-y);
  }
};

}  // namespace invact::kernels::math
