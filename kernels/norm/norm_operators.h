// The operators below autograd that the norms share: their gradients from the output, and whether
// the output tells them. Each device and Meta registers kernels (norm_kernels.h, meta.cpp).
// Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <optional>
#include <tuple>

namespace invact::kernels {

// `output` = x_hat * weight + bias over the last dimensions, contiguous, with `rstd` one number per
// row; `weight` and `bias` of those dimensions, every column recoverable (math/norm_recovery.h).
// Gradients of input (of output's dtype), weight and bias (of theirs); undefined where the mask
// says so.
constexpr const char* kNormBackwardSchema =
    "_norm_backward(Tensor grad_output, Tensor output, Tensor rstd, Tensor? weight, Tensor? bias, "
    "bool is_centered, bool[3] output_mask) -> (Tensor, Tensor, Tensor)";

// Whether offset + weight and bias let an output of this dtype tell x_hat. On CUDA the answer is
// kept for as long as neither changes; where none is kept it is read from the device.
constexpr const char* kNormRecoverableSchema =
    "_norm_recoverable(Tensor? weight, Tensor? bias, float weight_offset, ScalarType dtype) -> "
    "bool";

struct NormParameters {
  at::Tensor weight;  ///< Undefined: ones.
  at::Tensor bias;    ///< Undefined: zeros.
};

/// Of inputs and parameters that the norms know.
inline bool is_norm_dtype(at::ScalarType dtype) {
  return dtype == at::kDouble || dtype == at::kFloat || dtype == at::kBFloat16 ||
         dtype == at::kHalf;
}

using NormGradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

NormGradients norm_backward(const at::Tensor& grad_output, const at::Tensor& output,
                            const at::Tensor& rstd, const NormParameters& parameters,
                            bool is_centered, std::array<bool, 3> output_mask);

/// True without weight and bias.
bool norm_recoverable(const NormParameters& parameters, double weight_offset, at::ScalarType dtype);

}  // namespace invact::kernels
