// ATen's own forward of the functions with a branch bit, by function. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/math/functions.h"

namespace invact::kernels {

/// @throws c10::Error for a function without a branch bit: its operator calls ATen directly.
at::Tensor aten_forward(const ActivationFunction& function, const at::Tensor& self);

/// The same into `output`.
void aten_forward_out(const ActivationFunction& function, const at::Tensor& self,
                      at::Tensor& output);

}  // namespace invact::kernels
