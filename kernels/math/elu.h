// ELU with its parameters, and CELU and SELU, which are special cases of it: the derivative from
// the output. Part of kernels/math: no torch, no allocation.
#pragma once

#include <array>

#include "kernels/math/closed_form.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// f(x) = scale x for x > 0, scale alpha (e^(input_scale x) - 1) elsewhere. Below zero f' =
/// input_scale (y + scale alpha). Source: ATen elu, whose own backward from the result (it has one
/// for the in-place form) this equals.
struct Elu : ClosedForm<Elu> {
  static constexpr const char* kName = "elu";
  static constexpr int kParameterCount = 3;

  double alpha;
  double scale;
  double input_scale;

  constexpr Elu(double alpha_value, double scale_value, double input_scale_value)
      : alpha(alpha_value), scale(scale_value), input_scale(input_scale_value) {}

  constexpr std::array<double, kParameterCount> parameters() const {
    return {alpha, scale, input_scale};
  }
  /// Whether y determines on which side of zero x lay: otherwise f' is no function of y alone.
  constexpr bool is_invertible() const { return alpha >= 0 && scale > 0 && input_scale > 0; }

  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    const Real below = (y + splat<Real>(scale * alpha)) * splat<Real>(input_scale);
    // As ATen: NaN takes the scale.
    return choose(y <= splat<Real>(0), below, splat<Real>(scale));
  }
};

/// ATen's celu(x, alpha) is elu(x, alpha, 1, 1 / alpha). @throws nothing; alpha 0 is not
/// invertible.
constexpr Elu celu(double alpha) {
  return {alpha, 1.0, alpha == 0 ? 0.0 : 1.0 / alpha};
}

/// ATen's selu(x) is elu with these constants (Klambauer et al., arXiv 1706.02515).
constexpr Elu selu() {
  return {1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0};
}

}  // namespace invact::kernels::math
