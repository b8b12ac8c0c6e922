// The operators as C++ functions. TorchScript and Python reach the same ones through the
// dispatcher, by schema (ops.cpp). What autograd saves and why: the autograd.cpp of
// each folder. What stands in for
// which ATen operator, and error bounds: catalog.h.
#pragma once

#include <ATen/core/Scalar.h>
#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymIntArrayRef.h>

#include <optional>
#include <string_view>

#include "export.h"

namespace invact {

// All of them. self: any shape and strides; float64, float32, bfloat16 or float16; CPU or CUDA. The
// result equals ATen's function of the same name bit for bit, and so do the errors for other dtypes
// and values. Under autograd the node saves the result's storage instead of `self`, and the branch
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

/// GELU as models write it out, self * 0.5 * (1 + erf(self / sqrt 2)): that expression's bits in
/// float32 and float64, where ATen's gelu has other code for erf. In 16 bit it is at::gelu, which
/// rounds once instead of after each step, so that its output determines the derivative better. One
/// branch bit.
INVACT_EXPORT at::Tensor erf_gelu(const at::Tensor& self);

/// x * sigmoid(1.702 x), which ATen has no function for: the result equals that expression's. One
/// branch bit.
INVACT_EXPORT at::Tensor quick_gelu(const at::Tensor& self);

/// ELU. No bit. With a negative alpha, or a scale that is not positive, the output does not
/// determine the derivative: ATen's operator runs then and saves `self`.
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

/// Softplus. No bit. With a threshold below 20 the output does not determine the derivative at the
/// jump there: ATen's operator runs then and saves `self`.
INVACT_EXPORT at::Tensor softplus(const at::Tensor& self, const at::Scalar& beta = 1,
                                  const at::Scalar& threshold = 20);

/// ln(sigmoid(x)). No bit.
INVACT_EXPORT at::Tensor log_sigmoid(const at::Tensor& self);

/// x / (1 + |x|), which ATen has no function for: the result equals that expression's. No bit.
INVACT_EXPORT at::Tensor softsign(const at::Tensor& self);

/// max(x, 0)^2, which ATen has no function for: the result equals square(relu(x)). No bit. The
/// gradient is that expression's too, bit for bit, where the square is a normal number. Where it
/// overflowed the gradient is the largest finite output's; where it underflowed to 0 it is 0.
INVACT_EXPORT at::Tensor squared_relu(const at::Tensor& self);

/// Leaky ReLU. No bit. With a negative `negative_slope` ATen's operator runs and saves `self`.
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

// Norms over the last dimensions, `normalized_shape`. Under autograd the node saves the result's
// storage instead of `input`, one number per row (of the weight's dtype where that is wider),
// weight and bias. A call saves its input, as ATen's does, where a column's weight is so small
// beside its bias, or beside the smallest number, that the result does not determine x_hat well
// enough (math/norm_recovery.h), where only the bias needs a gradient, and on Meta. The CPU looks
// at weight and bias at each call; a GPU's are read when they have changed. Weight and bias
// gradients are summed in float32 (float64 for float64), in an order that does not depend on the
// number of threads. Forward-mode AD, vmap and differentiating the gradient raise
// NotImplementedError.

/// at::layer_norm, bit for bit.
INVACT_EXPORT at::Tensor layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                                    const std::optional<at::Tensor>& weight = std::nullopt,
                                    const std::optional<at::Tensor>& bias = std::nullopt,
                                    double eps = 1e-5, bool cudnn_enable = true);

/// at::layer_norm's values in another memory layout: result.transpose(dim0, dim1) is contiguous.
/// For a next layer that reads the transposed result and would make, and save, a contiguous copy:
/// it saves this result instead. A call that saves its input, or nothing, is at::layer_norm, layout
/// included.
INVACT_EXPORT at::Tensor layer_norm_transposed(const at::Tensor& input,
                                               c10::SymIntArrayRef normalized_shape,
                                               const std::optional<at::Tensor>& weight,
                                               const std::optional<at::Tensor>& bias, double eps,
                                               bool cudnn_enable, int64_t dim0, int64_t dim1);

/// at::rms_norm, bit for bit. Keeps its input also where that is channels-last.
INVACT_EXPORT at::Tensor rms_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                                  const std::optional<at::Tensor>& weight = std::nullopt,
                                  std::optional<double> eps = std::nullopt);

/// RMSNorm as models write it out, with its dtypes and the order of its roundings (ADR 3):
///   x = input.to(float32);  n = x * rsqrt(x.pow(2).mean(last dims) + eps)
///   n = n.to(normalized_dtype), where given
///   w = weight, or weight_offset + weight.to(float32) where the offset is not 0
///   y = n * w, with type promotion, or n without a weight;  y.to(output_dtype), where given
/// The result equals those operators' bit for bit. LLaMA: normalized_dtype = the input's. T5: the
/// weight's, where that is of 16 bit. Gemma: weight_offset = 1, output_dtype = the input's.
INVACT_EXPORT at::Tensor rms_norm_cast(const at::Tensor& input,
                                       c10::SymIntArrayRef normalized_shape,
                                       const std::optional<at::Tensor>& weight = std::nullopt,
                                       double eps = 1e-6, double weight_offset = 0,
                                       std::optional<at::ScalarType> normalized_dtype = {},
                                       std::optional<at::ScalarType> output_dtype = {});

/// at::batch_norm, bit for bit, running statistics included. In training the node saves the
/// result's storage instead of `input`, invstd (one number per channel), weight and bias, under the
/// norms' conditions above, for the CPU and CUDA; otherwise, and where not `training`, it is
/// at::batch_norm.
INVACT_EXPORT at::Tensor batch_norm(const at::Tensor& input,
                                    const std::optional<at::Tensor>& weight,
                                    const std::optional<at::Tensor>& bias,
                                    const std::optional<at::Tensor>& running_mean,
                                    const std::optional<at::Tensor>& running_var, bool training,
                                    double momentum = 0.1, double eps = 1e-5,
                                    bool cudnn_enabled = true);

/// at::dropout: with the same generator the result and the gradient are ATen's bit for bit, and as
/// many random numbers are drawn. Under autograd the node saves one bit per element, ceil(n / 8)
/// bytes, and nothing else. With p = 0, or not in training, it returns `input` itself and saves
/// nothing. vmap and forward-mode AD raise NotImplementedError.
INVACT_EXPORT at::Tensor dropout(const at::Tensor& input, double p, bool train);
INVACT_EXPORT at::Tensor& dropout_(at::Tensor& self, double p, bool train);

// Dropout of an activation, in one. Result and random numbers are those of at::dropout(f(self), p,
// train), bit for bit. Under autograd, with 0 < p < 1 in training, the node saves the result's
// storage, one bit per element for what was dropped and the branch bit of a function that has one,
// ceil(n / 8) bytes each: not `self` and no mask. Where an element was kept f' comes from the
// result divided by dropout's factor, whose rounding adds to the error that the function has alone;
// where it was dropped the gradient is zero. With another p, or not in training, and with
// parameters for which the output does not determine the derivative, they are the operators above,
// one after the other. Forward-mode AD, vmap and differentiating the gradient through the result
// raise NotImplementedError. The activation's parameters stand last.
INVACT_EXPORT at::Tensor gelu_dropout(const at::Tensor& self, double p, bool train,
                                      std::string_view approximate = "none");
INVACT_EXPORT at::Tensor silu_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor mish_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor hardswish_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor erf_gelu_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor quick_gelu_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor elu_dropout(const at::Tensor& self, double p, bool train,
                                     const at::Scalar& alpha = 1, const at::Scalar& scale = 1,
                                     const at::Scalar& input_scale = 1);
INVACT_EXPORT at::Tensor celu_dropout(const at::Tensor& self, double p, bool train,
                                      const at::Scalar& alpha = 1.0);
INVACT_EXPORT at::Tensor selu_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor softplus_dropout(const at::Tensor& self, double p, bool train,
                                          const at::Scalar& beta = 1,
                                          const at::Scalar& threshold = 20);
INVACT_EXPORT at::Tensor log_sigmoid_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor softsign_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor leaky_relu_dropout(const at::Tensor& self, double p, bool train,
                                            const at::Scalar& negative_slope = 0.01);
INVACT_EXPORT at::Tensor hardsigmoid_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor hardtanh_dropout(const at::Tensor& self, double p, bool train,
                                          const at::Scalar& min_val = -1,
                                          const at::Scalar& max_val = 1);
INVACT_EXPORT at::Tensor relu6_dropout(const at::Tensor& self, double p, bool train);
INVACT_EXPORT at::Tensor squared_relu_dropout(const at::Tensor& self, double p, bool train);

}  // namespace invact
