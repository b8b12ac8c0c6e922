// The operators as C++ functions. TorchScript and Python reach the same ones through the
// dispatcher, by schema (ops.cpp). What autograd keeps and why: autograd/. What stands in for
// which ATen operator, and error bounds: catalog.h.
#pragma once

#include <ATen/core/Scalar.h>
#include <ATen/core/Tensor.h>

#include <string_view>

#include "export.h"

namespace invact {

// All of them. self: any shape and strides; float64, float32, bfloat16 or float16; CPU or CUDA. The
// result equals ATen's function of the same name bit for bit, and so do the errors for other dtypes
// and values. Under autograd the node keeps the result's storage instead of `self`, and the branch
// bits that a function is said to have. Forward-mode AD, vmap and differentiating the gradient
// through the result raise NotImplementedError.
//
// In-place forms (NAME_) write and return `self`. On a view, or on a tensor whose memory is not
// dense, the result is computed apart and copied in, so that nothing is saved in `self`'s storage
// there.

/// GELU; `approximate` is "none" or "tanh". One branch bit per element: ceil(n / 8) bytes.
INVACT_EXPORT at::Tensor gelu(const at::Tensor& self, std::string_view approximate = "none");
INVACT_EXPORT at::Tensor& gelu_(at::Tensor& self, std::string_view approximate = "none");

/// SiLU. One branch bit.
INVACT_EXPORT at::Tensor silu(const at::Tensor& self);
INVACT_EXPORT at::Tensor& silu_(at::Tensor& self);

/// Mish. One branch bit.
INVACT_EXPORT at::Tensor mish(const at::Tensor& self);
INVACT_EXPORT at::Tensor& mish_(at::Tensor& self);

/// Hardswish. One branch bit.
INVACT_EXPORT at::Tensor hardswish(const at::Tensor& self);
INVACT_EXPORT at::Tensor& hardswish_(at::Tensor& self);

/// x * sigmoid(1.702 x), which ATen has no function for: the result equals that expression's. One
/// branch bit.
INVACT_EXPORT at::Tensor quick_gelu(const at::Tensor& self);

/// ELU. No bit. With a negative alpha, or a scale that is not positive, the output does not tell
/// the derivative: ATen's operator runs then and keeps `self`.
INVACT_EXPORT at::Tensor elu(const at::Tensor& self, const at::Scalar& alpha = 1,
                             const at::Scalar& scale = 1, const at::Scalar& input_scale = 1);
INVACT_EXPORT at::Tensor& elu_(at::Tensor& self, const at::Scalar& alpha = 1,
                               const at::Scalar& scale = 1, const at::Scalar& input_scale = 1);

/// CELU. No bit; alpha as in elu.
INVACT_EXPORT at::Tensor celu(const at::Tensor& self, const at::Scalar& alpha = 1.0);
INVACT_EXPORT at::Tensor& celu_(at::Tensor& self, const at::Scalar& alpha = 1.0);

/// SELU. No bit.
INVACT_EXPORT at::Tensor selu(const at::Tensor& self);
INVACT_EXPORT at::Tensor& selu_(at::Tensor& self);

/// Softplus. No bit. With a threshold below 20 the jump there is one that the output does not tell:
/// ATen's operator runs then and keeps `self`.
INVACT_EXPORT at::Tensor softplus(const at::Tensor& self, const at::Scalar& beta = 1,
                                  const at::Scalar& threshold = 20);

/// ln(sigmoid(x)). No bit.
INVACT_EXPORT at::Tensor log_sigmoid(const at::Tensor& self);

/// x / (1 + |x|), which ATen has no function for: the result equals that expression's. No bit.
INVACT_EXPORT at::Tensor softsign(const at::Tensor& self);

/// Leaky ReLU. No bit. With a negative slope ATen's operator runs and keeps `self`.
INVACT_EXPORT at::Tensor leaky_relu(const at::Tensor& self,
                                    const at::Scalar& negative_slope = 0.01);
INVACT_EXPORT at::Tensor& leaky_relu_(at::Tensor& self, const at::Scalar& negative_slope = 0.01);

/// Hardsigmoid. No bit.
INVACT_EXPORT at::Tensor hardsigmoid(const at::Tensor& self);
INVACT_EXPORT at::Tensor& hardsigmoid_(at::Tensor& self);

/// Hardtanh. No bit.
INVACT_EXPORT at::Tensor hardtanh(const at::Tensor& self, const at::Scalar& min_val = -1,
                                  const at::Scalar& max_val = 1);
INVACT_EXPORT at::Tensor& hardtanh_(at::Tensor& self, const at::Scalar& min_val = -1,
                                    const at::Scalar& max_val = 1);

/// ReLU6. No bit.
INVACT_EXPORT at::Tensor relu6(const at::Tensor& self);
INVACT_EXPORT at::Tensor& relu6_(at::Tensor& self);

}  // namespace invact
