// What the norms are made of. The forward of each, out of ATen's own operators: autograd's node
// runs it, inference, and the calls that save their input. And the operators below autograd that
// they share: the gradients from the output, and whether the output is enough for them. Each device
// and Meta registers kernels for those (norm_kernels.h, meta.cpp). Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymIntArrayRef.h>

#include <array>
#include <optional>
#include <tuple>

namespace invact::kernels {

/// A tensor argument that may be missing: the dispatcher passes nothing then, ATen's own functions
/// an undefined tensor.
using OptionalTensor = std::optional<at::Tensor>;

inline at::Tensor value_of(const OptionalTensor& tensor) {
  return tensor.value_or(at::Tensor());
}

/// An undefined tensor is no argument of an autograd Function, nothing is.
inline OptionalTensor given(const at::Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
}

// `output` = x_hat * weight + bias over the last dimensions, contiguous, with `rstd` one number per
// row; `weight` and `bias` of those dimensions, every column recoverable (math/norm_recovery.h).
// Gradients of input (of output's dtype), weight and bias (of theirs); undefined where the mask
// says so.
constexpr const char* kNormBackwardSchema =
    "_norm_backward(Tensor grad_output, Tensor output, Tensor rstd, Tensor? weight, Tensor? bias, "
    "bool is_centered, bool[3] output_mask) -> (Tensor, Tensor, Tensor)";

// Whether offset + weight and bias let an output of this dtype determine x_hat. On CUDA the answer
// is kept for as long as neither changes; where none is kept it is read from the device.
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

/// Output, and the reciprocal deviation (root mean square) of each row.
using NormForward = std::tuple<at::Tensor, at::Tensor>;

NormForward layer_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                               const OptionalTensor& weight, const OptionalTensor& bias,
                               double eps);

at::Tensor aten_layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                           const OptionalTensor& weight, const OptionalTensor& bias, double eps,
                           bool cudnn_enable);

/// Whether rms_norm_forward() does what at::rms_norm does with these: their shapes fit, and ATen
/// runs the one implementation that returns a row's root mean square. Otherwise at::rms_norm raises
/// its error, or runs another one.
bool has_rms_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                          const OptionalTensor& weight);

NormForward rms_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                             const OptionalTensor& weight, std::optional<double> eps);

at::Tensor aten_rms_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                         const OptionalTensor& weight, std::optional<double> eps);

/// How a written-out RMSNorm scales and rounds (ops.h, rms_norm_cast).
struct RmsNormCasts {
  double weight_offset;
  std::optional<at::ScalarType> normalized_dtype;
  std::optional<at::ScalarType> output_dtype;
};

/// The written-out form, step by step; differentiable like it. @throws c10::Error where shapes do
/// not fit.
NormForward rms_norm_cast_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                                  const OptionalTensor& weight, double eps,
                                  const RmsNormCasts& casts);

/// The weight that the form multiplies by: `weight` itself, or offset + weight in float32.
at::Tensor effective_weight(const at::Tensor& weight, double offset);

}  // namespace invact::kernels
