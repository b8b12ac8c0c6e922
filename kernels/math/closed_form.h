// What the functions whose derivative is a closed formula of the output share: one formula for
// every element type, computed in float (in double for float64). A function derives from
// ClosedForm and gives `template <class Real> Real derivative_from_output(Real y) const`, Real as
// in lanes.h. It is monotone: y says everything, and no bit is saved. Part of kernels/math: no
// torch, no allocation.
#pragma once

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::math {

template <class Function>
struct ClosedForm {
  static constexpr int kBranchBits = 0;
  static constexpr bool kRefines = false;

  /// f'(x) from y = f(x) as stored; the second argument, a branch, means nothing here.
  template <class Real>
  INVACT_HOST_DEVICE Real from_float32(Real y, Mask<Real>) const {
    return derivative(y);
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_bfloat16(Real y, Mask<Real>) const {
    return derivative(y);
  }
  template <class Real>
  INVACT_HOST_DEVICE Real from_float16(Real y, Mask<Real>) const {
    return derivative(y);
  }
  INVACT_HOST_DEVICE double from_float64(double y, bool) const { return derivative(y); }

 private:
  template <class Real>
  INVACT_HOST_DEVICE Real derivative(Real y) const {
    return static_cast<const Function&>(*this).derivative_from_output(y);
  }
};

}  // namespace invact::kernels::math
