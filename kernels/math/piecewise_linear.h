// The monotone functions of straight pieces: derivatives from the output, and gradients where
// ATen's are zero whatever comes in, infinity too. Part of kernels/math: no torch, no allocation.
#pragma once

#include <array>

#include "kernels/math/closed_form.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// f(x) = x for x > 0, negative_slope x elsewhere. Source: ATen leaky_relu.
struct LeakyRelu : ClosedForm<LeakyRelu> {
  static constexpr const char* kName = "leaky_relu";
  static constexpr int kParameterCount = 1;

  double negative_slope;

  constexpr explicit LeakyRelu(double derivative) : negative_slope(derivative) {}

  constexpr std::array<double, kParameterCount> parameters() const { return {negative_slope}; }
  /// With a negative `negative_slope` f is a V, and y does not determine the side.
  constexpr bool is_invertible() const { return negative_slope >= 0; }

  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    return choose(y > splat<Real>(0), splat<Real>(1), splat<Real>(negative_slope));
  }
};

/// f(x) = x cut to [min, max]; f' = 1 strictly between. Source: ATen hardtanh, and relu6, which is
/// hardtanh(x, 0, 6).
struct Hardtanh : ClosedForm<Hardtanh> {
  static constexpr const char* kName = "hardtanh";
  static constexpr int kParameterCount = 2;

  double min;
  double max;

  constexpr Hardtanh(double min_value, double max_value) : min(min_value), max(max_value) {}

  constexpr std::array<double, kParameterCount> parameters() const { return {min, max}; }
  /// ATen itself refuses min > max.
  constexpr bool is_invertible() const { return min <= max; }

  /// Whether x lay beyond min or max, or on one. As ATen: NaN did not.
  template <class Real>
  INVACT_HOST_DEVICE Mask<Real> is_cut(Real y) const {
    return (y <= splat<Real>(min)) | (y >= splat<Real>(max));
  }
  template <class Real>
  INVACT_HOST_DEVICE Real gradient_from_output(Real grad_output, Real y) const {
    return choose(is_cut(y), splat<Real>(0), grad_output);
  }
  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    return gradient_from_output(splat<Real>(1), y);
  }
};

/// f(x) = (x + 3) / 6 cut to [0, 1]; f' = 1/6 strictly between. Source: ATen hardsigmoid.
struct Hardsigmoid : ClosedForm<Hardsigmoid> {
  static constexpr const char* kName = "hardsigmoid";

  template <class Real>
  INVACT_HOST_DEVICE Real gradient_from_output(Real grad_output, Real y) const {
    const Mask<Real> is_between = (y > splat<Real>(0)) & (y < splat<Real>(1));
    return choose(is_between, grad_output * splat<Real>(1.0 / 6.0), splat<Real>(0));
  }
  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    return gradient_from_output(splat<Real>(1), y);
  }
};

}  // namespace invact::kernels::math
