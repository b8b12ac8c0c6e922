// What the norms save and why. Instead of its input, the node saves its output, whose storage the
// next layer saves anyway, one number per row, and the parameters: x_hat = (y - bias) / weight.
// Where weight and bias would make that inaccurate the call is ATen's own, which saves the input.
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/FunctionRef.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <string>

#include "kernels/norm/norm_operators.h"
#include "kernels/norm/refused_gradient.h"
#include "kernels/ops.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kOperator = "operator";
constexpr const char* kCentered = "centered";
constexpr const char* kOffset = "weight_offset";
constexpr const char* kInputDtype = "input_dtype";

struct NormSettings {
  std::string op;
  bool is_centered;
  double weight_offset = 0;
  at::ScalarType input_dtype = at::kFloat;
};

/// What a node saves, and what its gradients are made from.
struct SavedNorm {
  at::Tensor output;
  at::Tensor rstd;
  NormParameters parameters;
};

/// Of input, weight and bias; undefined where the mask says so.
Gradients<3> gradients(const at::Tensor& grad_output, const SavedNorm& saved,
                       const NormSettings& settings, std::array<bool, 3> mask) {
  NormParameters parameters = saved.parameters;
  if (parameters.weight.defined()) {
    parameters.weight = effective_weight(parameters.weight, settings.weight_offset);
  }
  auto [grad_input, grad_weight, grad_bias] = norm_backward(
      grad_output, saved.output.contiguous(), saved.rstd, parameters, settings.is_centered, mask);
  if (mask[0]) grad_input = grad_input.to(settings.input_dtype);
  if (mask[1]) grad_weight = grad_weight.to(saved.parameters.weight.scalar_type());
  return {std::move(grad_input), std::move(grad_weight), std::move(grad_bias)};
}

/// The forward with its arguments bound.
using Forward = c10::function_ref<NormForward()>;

struct Norm : Function<Norm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const OptionalTensor& weight, const OptionalTensor& bias,
                            const NormSettings& settings, Forward norm) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const auto [output, rstd] = norm();
    ctx->save_for_backward({output, rstd, value_of(weight), value_of(bias)});
    ctx->saved_data[kOperator] = settings.op;
    ctx->saved_data[kCentered] = settings.is_centered;
    ctx->saved_data[kOffset] = settings.weight_offset;
    ctx->saved_data[kInputDtype] = static_cast<int64_t>(input.scalar_type());
    ctx->set_materialize_grads(false);
    return output;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    constexpr size_t kArguments = 5;
    variable_list result(kArguments);
    if (!grads[0].defined()) return result;
    const variable_list tensors = ctx->get_saved_variables();
    const SavedNorm saved{tensors[0], tensors[1], {tensors[2], tensors[3]}};
    const NormSettings settings{
        ctx->saved_data[kOperator].toStringRef(), ctx->saved_data[kCentered].toBool(),
        ctx->saved_data[kOffset].toDouble(), ctx->saved_data[kInputDtype].toScalarType()};
    const std::array<bool, 3> mask = wanted_gradients(ctx, saved.parameters);
    const auto compute = [&] { return gradients(grads[0], saved, settings, mask); };
    Gradients<3> found = once_differentiable<3>(grads[0], saved.output, saved.parameters.weight,
                                                settings.op, mask, compute);
    std::move(found.begin(), found.end(), result.begin());
    return result;
  }
};

/// Otherwise the call is ATen's, which raises an error or runs on another device.
bool has_kernels(const at::Tensor& input, const NormParameters& parameters) {
  for (const at::Tensor& tensor : {input, parameters.weight, parameters.bias}) {
    if (!tensor.defined()) continue;
    if (!is_norm_dtype(tensor.scalar_type()) || tensor.device() != input.device()) return false;
  }
  if (parameters.weight.defined() && parameters.bias.defined() &&
      parameters.weight.sym_numel() != parameters.bias.sym_numel()) {
    return false;
  }
  return input.is_cpu() || input.is_cuda() || input.is_meta();
}

/// Whether this call saves its output: a gradient is asked for that x_hat is needed for, and weight
/// and bias let an output of `output_dtype` determine it.
bool saves_output(const at::Tensor& input, const NormParameters& parameters, double weight_offset,
                  at::ScalarType output_dtype) {
  if (!torch::autograd::GradMode::is_enabled() || !has_kernels(input, parameters)) return false;
  const at::Tensor& weight = parameters.weight;
  if (!input.requires_grad() && !(weight.defined() && weight.requires_grad())) return false;
  at::AutoDispatchBelowADInplaceOrView guard;
  return norm_recoverable(parameters, weight_offset, output_dtype);
}

at::Tensor layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                      const OptionalTensor& weight, const OptionalTensor& bias, double eps,
                      bool cudnn_enable) {
  const NormParameters parameters{value_of(weight), value_of(bias)};
  refuse_forward_mode("layer_norm", {input, parameters.weight, parameters.bias});
  if (!saves_output(input, parameters, /*weight_offset=*/0, input.scalar_type())) {
    return aten_layer_norm(input, normalized_shape, weight, bias, eps, cudnn_enable);
  }
  const auto forward = [&] {
    return layer_norm_forward(input, normalized_shape, weight, bias, eps);
  };
  return Norm::apply(input, weight, bias, NormSettings{"layer_norm", /*is_centered=*/true},
                     Forward(forward));
}

at::Tensor layer_norm_transposed(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                                 const OptionalTensor& weight, const OptionalTensor& bias,
                                 double eps, bool cudnn_enable, int64_t dim0, int64_t dim1) {
  const NormParameters parameters{value_of(weight), value_of(bias)};
  refuse_forward_mode("layer_norm_transposed", {input, parameters.weight, parameters.bias});
  if (!saves_output(input, parameters, /*weight_offset=*/0, input.scalar_type())) {
    return aten_layer_norm(input, normalized_shape, weight, bias, eps, cudnn_enable);
  }
  const auto forward = [&]() -> NormForward {
    auto [output, rstd] = layer_norm_forward(input, normalized_shape, weight, bias, eps);
    return {output.transpose(dim0, dim1).contiguous().transpose(dim0, dim1), std::move(rstd)};
  };
  return Norm::apply(input, weight, bias,
                     NormSettings{"layer_norm_transposed", /*is_centered=*/true}, Forward(forward));
}

at::Tensor rms_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                    const OptionalTensor& weight, std::optional<double> eps) {
  const NormParameters parameters{value_of(weight), {}};
  refuse_forward_mode("rms_norm", {input, parameters.weight});
  if (!has_rms_norm_forward(input, normalized_shape, weight) ||
      !saves_output(input, parameters, /*weight_offset=*/0, input.scalar_type())) {
    return aten_rms_norm(input, normalized_shape, weight, eps);
  }
  const auto forward = [&] { return rms_norm_forward(input, normalized_shape, weight, eps); };
  return Norm::apply(input, weight, OptionalTensor(),
                     NormSettings{"rms_norm", /*is_centered=*/false}, Forward(forward));
}

/// Whether elementwise operators give a contiguous result: one whose rows lie apart is left to the
/// written-out form.
bool has_row_major_strides(const at::Tensor& input) {
  c10::SymInt outer = -1;
  for (int64_t i = 0; i < input.dim(); ++i) {
    if (input.sym_size(i) == 1) continue;
    const c10::SymInt stride = input.sym_stride(i);
    if (stride == 0 || (outer != -1 && stride > outer)) return false;
    outer = stride;
  }
  return true;
}

/// The dtype of the written-out form's result.
at::ScalarType output_dtype(const at::Tensor& weight, const RmsNormCasts& casts) {
  if (casts.output_dtype) return *casts.output_dtype;
  const at::ScalarType normalized = casts.normalized_dtype.value_or(at::kFloat);
  if (!weight.defined()) return normalized;
  return c10::promoteTypes(normalized,
                           casts.weight_offset == 0 ? weight.scalar_type() : at::kFloat);
}

at::Tensor rms_norm_cast(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                         const OptionalTensor& weight, double eps, double weight_offset,
                         std::optional<at::ScalarType> normalized_dtype,
                         std::optional<at::ScalarType> output_dtype) {
  const RmsNormCasts casts{weight_offset, normalized_dtype, output_dtype};
  const NormParameters parameters{value_of(weight), {}};
  refuse_forward_mode("rms_norm_cast", {input, parameters.weight});
  const auto forward = [&] {
    return rms_norm_cast_forward(input, normalized_shape, weight, eps, casts);
  };
  const at::ScalarType dtype = kernels::output_dtype(parameters.weight, casts);
  if (!has_row_major_strides(input) || !saves_output(input, parameters, weight_offset, dtype)) {
    return std::get<0>(forward());
  }
  return Norm::apply(input, weight, OptionalTensor(),
                     NormSettings{"rms_norm_cast", /*is_centered=*/false, weight_offset},
                     Forward(forward));
}

at::Tensor in_float(const at::Tensor& tensor) {
  return at::autocast::cached_cast(at::kFloat, tensor, c10::DeviceType::CUDA);
}

OptionalTensor in_float(const OptionalTensor& tensor) {
  return at::autocast::cached_cast(at::kFloat, tensor, c10::DeviceType::CUDA);
}

/// As ATen's own: on CUDA autocast computes layer_norm in float32.
at::Tensor autocast_layer_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                               const OptionalTensor& weight, const OptionalTensor& bias, double eps,
                               bool cudnn_enable) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::AutocastCUDA);
  return invact::layer_norm(in_float(input), normalized_shape, in_float(weight), in_float(bias),
                            eps, cudnn_enable);
}

at::Tensor autocast_rms_norm(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                             const OptionalTensor& weight, std::optional<double> eps) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::AutocastCUDA);
  return invact::rms_norm(in_float(input), normalized_shape, in_float(weight), eps);
}

/// LibTorch 2.11 lets autocast pass its rms_norm by, later releases compute it in float32.
bool autocast_lists_rms_norm() {
  const auto atens = c10::Dispatcher::singleton().findSchema({"aten::rms_norm", ""});
  return atens && atens->hasKernelForDispatchKey(c10::DispatchKey::AutocastCUDA);
}

at::Tensor autocast_layer_norm_transposed(const at::Tensor& input,
                                          c10::SymIntArrayRef normalized_shape,
                                          const OptionalTensor& weight, const OptionalTensor& bias,
                                          double eps, bool cudnn_enable, int64_t dim0,
                                          int64_t dim1) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::AutocastCUDA);
  return invact::layer_norm_transposed(in_float(input), normalized_shape, in_float(weight),
                                       in_float(bias), eps, cudnn_enable, dim0, dim1);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
  m.impl("layer_norm", &layer_norm);
  m.impl("layer_norm_transposed", &layer_norm_transposed);
  m.impl("rms_norm", &rms_norm);
  m.impl("rms_norm_cast", &rms_norm_cast);
}

TORCH_LIBRARY_IMPL(invact, AutocastCUDA, m) {
  m.impl("layer_norm", &autocast_layer_norm);
  m.impl("layer_norm_transposed", &autocast_layer_norm_transposed);
  if (autocast_lists_rms_norm()) m.impl("rms_norm", &autocast_rms_norm);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  for (const char* op :
       {"layer_norm", "layer_norm_transposed", "rms_norm", "rms_norm_cast", "_norm_backward"}) {
    refuse_vmap_of(m, op);
  }
}

}  // namespace invact::kernels
