// What the functions with one minimum share: the branch bit and the choice of form by storage
// dtype. A function derives from OneMinimum, gives value() and slope() in double, and names its
// generated coefficients. A function with a closed-form derivative does not use this; it offers the
// same members itself (without refinement: kRefines false). Part of kernels/math: no torch, no
// allocation.
#pragma once

#include "kernels/math/forms.h"
#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"
#include "kernels/math/solve.h"

namespace invact::kernels::math {

template <class Function, class C>
struct OneMinimum {
  /// The branch bit: x < x*. False for NaN. Exact for every x of the four storage dtypes.
  INVACT_HOST_DEVICE bool is_left(float x) const { return x < C::Float32::kFirstRight; }
  INVACT_HOST_DEVICE bool is_left(double x) const { return x < C::Float64::kMinimumX; }

  /// f'(x) for y stored in the named dtype; the 16-bit ones aim at the mean of f' over the inputs
  /// that share y.
  INVACT_HOST_DEVICE float from_float32(float y, bool left) const {
    return float32_form<typename C::Float32>(y, left);
  }
  INVACT_HOST_DEVICE float from_bfloat16(float y, bool left) const {
    return polynomial_form<typename C::BFloat16>(y, left);
  }
  INVACT_HOST_DEVICE float from_float16(float y, bool left) const {
    return rational_form<typename C::Float16>(y, left);
  }
  INVACT_HOST_DEVICE double from_float64(double y, bool left) const {
    return float64_form<typename C::Float64>(static_cast<const Function&>(*this), y, left);
  }

  /// float32 outputs near the minimum may carry a refinement code (refinement.h).
  static constexpr bool kRefines = true;
  INVACT_HOST_DEVICE bool is_near_minimum(float y) const {
    return distance_to_minimum<typename C::Float32>(y) <= kRefinementWindow;
  }
  INVACT_HOST_DEVICE int refinement_code(float x, float y) const {
    return math::refinement_code<typename C::Float64, typename C::Float32>(
        static_cast<const Function&>(*this), x, y);
  }
  INVACT_HOST_DEVICE float from_refined(float y, int code, bool left) const {
    return refined_form<typename C::Float64, typename C::Float32>(y, code, left);
  }
};

}  // namespace invact::kernels::math
