#include "kernels/recompute/recompute_operators.h"

#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/ops/_batch_norm_impl_index.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "kernels/cpu/repeated_batch_norm.h"
#include "kernels/optional_tensor.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

at::Tensor copy_of(const OptionalTensor& statistic) {
  return statistic && statistic->defined() ? statistic->clone() : at::empty({0});
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm_forward(
    const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
    const OptionalTensor& running_mean, const OptionalTensor& running_var, bool training,
    double momentum, double eps, bool cudnn_enabled) {
  const bool keeps_statistics = training && input.is_cpu() && input.layout() == at::kStrided &&
                                !at::isTensorSubclassLike(input) && input.numel() > 0;
  if (keeps_statistics) {  // what at::batch_norm calls
    auto [output, mean, invstd, reserve, backend] =
        at::_batch_norm_impl_index(input, weight, bias, running_mean, running_var,
                                   /*training=*/true, momentum, eps, cudnn_enabled);
    return {output, mean, invstd};
  }
  // Copied first: running_mean may be anybody's.
  const at::Tensor first = copy_of(training ? OptionalTensor() : running_mean);
  const at::Tensor second = copy_of(training ? OptionalTensor() : running_var);
  return {at::batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps,
                         cudnn_enabled),
          first, second};
}

at::Tensor batch_norm_again(const at::Tensor& input, const OptionalTensor& weight,
                            const OptionalTensor& bias, const at::Tensor& first,
                            const at::Tensor& second, bool training, double momentum, double eps,
                            bool cudnn_enabled) {
  const auto aten = [&](const OptionalTensor& mean, const OptionalTensor& var) {
    return at::batch_norm(input, weight, bias, mean, var, training, momentum, eps, cudnn_enabled);
  };
  if (!training) return aten(first, second);
  if (first.sym_numel() == 0) return aten(std::nullopt, std::nullopt);
  const at::Tensor w = value_of(weight);
  const at::Tensor b = value_of(bias);
  const bool is_known = !has_tangent(input) && !has_tangent(w) && !has_tangent(b) &&
                        cpu::has_known_batch_norm({input, w, b, first, second});
  if (is_known) return known_batch_norm(input, w, b, first, second, eps);
  // Running statistics to be thrown away: their dtype is one of the things ATen chooses a kernel
  // by.
  return aten(first.clone(), second.clone());
}

TORCH_LIBRARY_IMPL(invact, CompositeImplicitAutograd, m) {
  m.impl("_batch_norm_forward", &batch_norm_forward);
  m.impl("_batch_norm_again", &batch_norm_again);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  m.impl("_batch_norm_forward", &batch_norm_forward);
  m.impl("_batch_norm_again", &batch_norm_again);
}

}  // namespace invact::kernels
