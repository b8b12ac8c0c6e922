// The forward of each norm, out of ATen's own operators: what autograd's node, inference and the
// calls that save their input run. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymIntArrayRef.h>

#include <optional>
#include <tuple>

#include "kernels/optional_tensor.h"

namespace invact::kernels {

/// Output, and the reciprocal deviation (root mean square) of each row.
using NormForward = std::tuple<at::Tensor, at::Tensor>;

NormForward layer_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                               const OptionalTensor& weight, const OptionalTensor& bias,
                               double eps);

at::Tensor aten_layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                           const OptionalTensor& weight, const OptionalTensor& bias, double eps,
                           bool cudnn_enable);

/// Whether rms_norm_forward() does what at::rms_norm does with these: their shapes fit, and ATen
/// runs the one implementation that tells a row's root mean square. Otherwise at::rms_norm raises
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
