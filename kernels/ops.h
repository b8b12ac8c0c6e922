// The operators as C++ functions. TorchScript and Python reach the same ones through the
// dispatcher, by schema (ops.cpp). What autograd keeps and why: autograd.cpp. What stands in for
// which ATen operator, and error bounds: catalog.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "export.h"

namespace invact {

/// GELU. self: any shape and strides; float64, float32, bfloat16 or float16; CPU or CUDA. The
/// result equals at::gelu's bit for bit. Under autograd the node keeps the result's storage and
/// ceil(n / 8) bytes instead of `self`. Forward-mode AD, vmap and differentiating the gradient
/// through the result raise NotImplementedError.
/// @throws c10::Error as at::gelu does, for other dtypes and other values of `approximate`.
INVACT_EXPORT at::Tensor gelu(const at::Tensor& self, std::string_view approximate = "none");

/// In-place form: writes and returns `self`. On a view, or on a tensor whose memory is not dense,
/// the result is computed apart and copied in, so that nothing is saved in `self`'s storage there.
/// @see gelu
INVACT_EXPORT at::Tensor& gelu_(at::Tensor& self, std::string_view approximate = "none");

/// SiLU. @see gelu
INVACT_EXPORT at::Tensor silu(const at::Tensor& self);

/// In-place form. @see gelu_
INVACT_EXPORT at::Tensor& silu_(at::Tensor& self);

}  // namespace invact
