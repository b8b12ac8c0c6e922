#include "kernels/norm/norm_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/add.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/rsqrt.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/Exception.h>

#include <numeric>
#include <vector>

namespace invact::kernels {
namespace {

bool is_given(const OptionalTensor& tensor) {
  return tensor.has_value() && tensor->defined();
}

/// Whether the last dimensions of `input` are `normalized_shape`, and `weight` is of that shape.
bool shapes_fit(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                const OptionalTensor& weight) {
  const size_t dims = normalized_shape.size();
  const c10::SymIntArrayRef sizes = input.sym_sizes();
  if (dims == 0 || sizes.size() < dims) return false;
  if (sizes.slice(sizes.size() - dims) != normalized_shape) return false;
  return !is_given(weight) || weight->sym_sizes() == normalized_shape;
}

/// Without asking the dispatcher where there is nothing to do: below autograd no operator may
/// return its input.
at::Tensor as(const at::Tensor& tensor, at::ScalarType dtype) {
  return tensor.scalar_type() == dtype ? tensor : tensor.to(dtype);
}

}  // namespace

NormForward layer_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                               const OptionalTensor& weight, const OptionalTensor& bias,
                               double eps) {
  const auto result = at::native_layer_norm_symint(input, normalized_shape, weight, bias, eps);
  return {std::get<0>(result), std::get<2>(result)};
}

at::Tensor aten_layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                           const OptionalTensor& weight, const OptionalTensor& bias, double eps,
                           bool cudnn_enable) {
  return at::layer_norm_symint(input, normalized_shape, weight, bias, eps, cudnn_enable);
}

bool has_rms_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                          const OptionalTensor& weight) {
  if (!shapes_fit(input, normalized_shape, weight)) return false;
  // ATen keeps these layouts in its result, whose rows then lie apart.
  const at::MemoryFormat format = input.suggest_memory_format();
  if (format == at::MemoryFormat::ChannelsLast || format == at::MemoryFormat::ChannelsLast3d) {
    return false;
  }
  // With a weight of another dtype ATen leaves its fused kernel.
  return !is_given(weight) || weight->scalar_type() == input.scalar_type() || input.is_cpu();
}

NormForward rms_norm_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                             const OptionalTensor& weight, std::optional<double> eps) {
  return at::_fused_rms_norm(input, C10_AS_INTARRAYREF_SLOW(normalized_shape), weight, eps);
}

at::Tensor aten_rms_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                         const OptionalTensor& weight, std::optional<double> eps) {
  return at::rms_norm_symint(input, normalized_shape, weight, eps);
}

at::Tensor effective_weight(const at::Tensor& weight, double offset) {
  return offset == 0 ? weight : at::add(as(weight, at::kFloat), offset);
}

NormForward rms_norm_cast_forward(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                                  const OptionalTensor& weight, double eps,
                                  const RmsNormCasts& casts) {
  TORCH_CHECK(shapes_fit(input, normalized_shape, weight),
              "invact::rms_norm_cast: normalized_shape ", normalized_shape,
              " must be the last dimensions of the input, of shape ", input.sym_sizes(),
              ", and the weight's shape");
  TORCH_CHECK(at::isFloatingType(input.scalar_type()),
              "invact::rms_norm_cast: input must be a floating tensor, not ", input.scalar_type());
  std::vector<int64_t> dims(normalized_shape.size());
  std::iota(dims.begin(), dims.end(), input.dim() - static_cast<int64_t>(dims.size()));
  const at::Tensor wide = as(input, at::kFloat);
  at::Tensor rstd = at::rsqrt(at::mean(at::pow(wide, 2), dims, /*keepdim=*/true).add_(eps));
  at::Tensor output = at::mul(wide, rstd);
  if (casts.normalized_dtype) output = as(output, *casts.normalized_dtype);
  if (is_given(weight)) output = at::mul(output, effective_weight(*weight, casts.weight_offset));
  if (casts.output_dtype) output = as(output, *casts.output_dtype);
  return {std::move(output), std::move(rstd)};
}

NormGradients norm_backward(const at::Tensor& grad_output, const at::Tensor& output,
                            const at::Tensor& rstd, const NormParameters& parameters,
                            bool is_centered, std::array<bool, 3> output_mask) {
  using Signature = NormGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                  const std::optional<at::Tensor>&,
                                  const std::optional<at::Tensor>&, bool, std::array<bool, 3>);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_norm_backward", "")
                                 .typed<Signature>();
  return handle.call(grad_output, output, rstd, given(parameters.weight), given(parameters.bias),
                     is_centered, output_mask);
}

bool norm_recoverable(const NormParameters& parameters, double weight_offset,
                      at::ScalarType dtype) {
  if (!parameters.weight.defined() && !parameters.bias.defined()) return true;
  using Signature = bool(const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, double,
                         at::ScalarType);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_norm_recoverable", "")
                                 .typed<Signature>();
  return handle.call(given(parameters.weight), given(parameters.bias), weight_offset, dtype);
}

}  // namespace invact::kernels
