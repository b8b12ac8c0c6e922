// Softsign: the derivative from the output. Part of kernels/math: no torch, no allocation.
#pragma once

#include "kernels/math/closed_form.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// f(x) = x / (1 + |x|); f' = (1 - |y|)^2. ATen has no such operator: torch.nn.functional.softsign
/// writes it out.
struct Softsign : ClosedForm<Softsign> {
  static constexpr const char* kName = "softsign";

  template <class Real>
  INVACT_HOST_DEVICE Real derivative_from_output(Real y) const {
    const Real rest = splat<Real>(1) - nan_or_at_least(-y, y);
    return rest * rest;
  }
};

}  // namespace invact::kernels::math
