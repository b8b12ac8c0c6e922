// What batch_norm saves and why. In training its output determines the normalized input, x_hat = (y
// - bias) / weight, so the node saves its output, whose storage the next layer saves anyway, one
// number per channel, and the parameters. ATen's own gradient takes the output for the input, the
// bias for the mean and 1 / weight for invstd: x_hat is the same then, and weight^2 * invstd in the
// weight's place gives back the scale. Where weight and bias would make that inaccurate the call is
// ATen's own, which saves the input.
#include <ATen/TensorOperators.h>
#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_batch_norm_impl_index.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/reciprocal.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <tuple>

#include "kernels/norm/norm_operators.h"
#include "kernels/norm/refused_gradient.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kOperator = "batch_norm";

Gradients<3> gradients(const at::Tensor& grad_output, const at::Tensor& output,
                       const at::Tensor& invstd, const NormParameters& parameters,
                       std::array<bool, 3> mask) {
  const at::ScalarType dtype = output.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor scale = invstd.to(dtype);
  const auto per_channel = [&](const at::Tensor& parameter, double otherwise) {
    return parameter.defined() ? parameter.to(dtype) : at::full_like(scale, otherwise);
  };
  const at::Tensor weight = per_channel(parameters.weight, 1);
  const at::Tensor bias = per_channel(parameters.bias, 0);
  auto [grad_input, grad_weight, grad_bias] = at::native_batch_norm_backward(
      grad_output, output, weight * weight * scale, /*running_mean=*/{}, /*running_var=*/{}, bias,
      at::reciprocal(weight), /*train=*/true, /*eps=*/0, mask);
  if (mask[1]) grad_weight = grad_weight.to(parameters.weight.scalar_type());
  if (mask[2]) grad_bias = grad_bias.to(parameters.bias.scalar_type());
  return {std::move(grad_input), std::move(grad_weight), std::move(grad_bias)};
}

struct BatchNorm : Function<BatchNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const OptionalTensor& weight, const OptionalTensor& bias,
                            const OptionalTensor& running_mean, const OptionalTensor& running_var,
                            double momentum, double eps, bool cudnn_enabled) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    auto [output, mean, invstd, reserve, backend] =
        at::_batch_norm_impl_index(input, weight, bias, running_mean, running_var,
                                   /*training=*/true, momentum, eps, cudnn_enabled);
    ctx->save_for_backward({output, invstd, value_of(weight), value_of(bias)});
    ctx->set_materialize_grads(false);
    return output;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    constexpr size_t kArguments = 8;
    variable_list result(kArguments);
    if (!grads[0].defined()) return result;
    const variable_list saved = ctx->get_saved_variables();
    const NormParameters parameters{saved[2], saved[3]};
    const std::array<bool, 3> mask = wanted_gradients(ctx, parameters);
    const auto compute = [&] { return gradients(grads[0], saved[0], saved[1], parameters, mask); };
    Gradients<3> found =
        once_differentiable<3>(grads[0], saved[0], saved[2], kOperator, mask, compute);
    std::move(found.begin(), found.end(), result.begin());
    return result;
  }
};

/// Otherwise the call is ATen's, which raises an error, runs on another device or saves the input.
bool saves_output(const at::Tensor& input, const NormParameters& parameters) {
  if (!torch::autograd::GradMode::is_enabled() || at::isTensorSubclassLike(input)) return false;
  const bool needs_x_hat =
      input.requires_grad() || (parameters.weight.defined() && parameters.weight.requires_grad());
  if (!needs_x_hat || !(input.is_cpu() || input.is_cuda()) || input.layout() != at::kStrided ||
      !is_norm_dtype(input.scalar_type()) || input.dim() < 2 || input.numel() == 0) {
    return false;
  }
  for (const at::Tensor& parameter : {parameters.weight, parameters.bias}) {
    if (!parameter.defined()) continue;
    if (parameter.device() != input.device() || parameter.numel() != input.size(1) ||
        !is_norm_dtype(parameter.scalar_type())) {
      return false;
    }
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  return norm_recoverable(parameters, /*weight_offset=*/0, input.scalar_type());
}

at::Tensor batch_norm(const at::Tensor& input, const OptionalTensor& weight,
                      const OptionalTensor& bias, const OptionalTensor& running_mean,
                      const OptionalTensor& running_var, bool training, double momentum, double eps,
                      bool cudnn_enabled) {
  const NormParameters parameters{value_of(weight), value_of(bias)};
  refuse_forward_mode(kOperator, {input, parameters.weight, parameters.bias});
  if (!training || !saves_output(input, parameters)) {
    return at::batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps,
                          cudnn_enabled);
  }
  return BatchNorm::apply(input, weight, bias, running_mean, running_var, momentum, eps,
                          cudnn_enabled);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
  m.impl(kOperator, &batch_norm);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  refuse_vmap_of(m, kOperator);
}

}  // namespace invact::kernels
