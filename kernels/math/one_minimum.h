// What the functions with one minimum share: the branch bit and the choice of form by storage
// dtype. A function derives from OneMinimum, gives value() and derivative() in double, and names
// its generated coefficients. Functions with a closed-form derivative offer the same members
// themselves (closed_form.h, hardswish.h). Part of kernels/math: no torch, no allocation.
#pragma once

#include "kernels/math/forms.h"
#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"
#include "kernels/math/solve.h"
#if defined(__AVX512F__)
#include "kernels/math/table_form.h"
#endif

namespace invact::kernels::math {

template <class Function, class C>
struct OneMinimum {
  static constexpr int kBranchBits = 1;

  /// The branch bit is x < first_right(), which says x < x* for every x of the four element types
  /// (the 16-bit ones are compared as float) and is false for NaN.
  template <class Real>
  INVACT_HOST_DEVICE static constexpr Real first_right() {
    if constexpr (sizeof(Real) == sizeof(float)) {
      return C::Float32::kFirstRight;
    } else {
      return C::Float64::kMinimumX;
    }
  }

  /// f'(x) for y stored in the named dtype; the 16-bit ones aim at the mean of f' over the inputs
  /// that share y.
  template <class Real>
  INVACT_HOST_DEVICE Real from_float32(Real y, Mask<Real> left) const {
#if defined(__AVX512F__)
    return table_form<typename C::Float32, typename C::Float32Table>(y, left);
#else
    return float32_form<typename C::Float32>(y, left);
#endif
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_bfloat16(Real y, Mask<Real> left) const {
#if defined(__AVX512F__)
    return short_table_form<typename C::BFloat16Table>(y, left);
#else
    return polynomial_form<typename C::BFloat16>(y, left);
#endif
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_float16(Real y, Mask<Real> left) const {
#if defined(__AVX512F__)
    return short_table_form<typename C::Float16Table>(y, left);
#else
    return rational_form<typename C::Float16>(y, left);
#endif
  }
  INVACT_HOST_DEVICE double from_float64(double y, bool left) const {
    return float64_form<typename C::Float64>(static_cast<const Function&>(*this), y, left);
  }

  /// float32 outputs below kFirstUnrefined may carry a refinement code (refinement.h).
  static constexpr bool kRefines = true;
  static constexpr float kFirstUnrefined = C::Float32::kMinimumYHigh + kRefinementWindow;
  INVACT_HOST_DEVICE int refinement_code(float x, float y) const {
    return math::refinement_code<typename C::Float64, typename C::Float32>(x, y);
  }
  INVACT_HOST_DEVICE float from_refined(float y, int code, bool left) const {
    return refined_form<typename C::Float64, typename C::Float32>(y, code, left);
  }
};

}  // namespace invact::kernels::math
