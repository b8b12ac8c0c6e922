// A batch norm that runs twice. Where the CPU's loops have ATen's bits, the second run is a node of
// its own that takes the statistics as given. It saves what ATen's saves: input, weight and
// statistics. Its gradient is ATen's operator, which can be differentiated in its turn.
#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_batch_norm_impl_index.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <tuple>

#include "kernels/cpu/repeated_batch_norm.h"
#include "kernels/norm/norm_operators.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kEpsilon = "eps";
constexpr const char* kHasBias = "has_bias";

struct KnownStatistics : Function<KnownStatistics> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const OptionalTensor& weight, const OptionalTensor& bias,
                            const at::Tensor& mean, const at::Tensor& invstd, double eps) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor w = value_of(weight);
    const at::Tensor b = value_of(bias);
    ctx->save_for_backward({input, w, mean, invstd});
    ctx->saved_data[kEpsilon] = eps;
    ctx->saved_data[kHasBias] = b.defined();
    ctx->set_materialize_grads(false);
    return cpu::repeated_batch_norm({input, w, b, mean, invstd});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    if (!grads[0].defined()) return variable_list(6);
    const variable_list saved = ctx->get_saved_variables();
    size_t edge = 0;  // undefined inputs have none
    std::array<bool, 3> mask = {};
    mask[0] = ctx->needs_input_grad(edge++);
    if (saved[1].defined()) mask[1] = ctx->needs_input_grad(edge++);
    if (ctx->saved_data[kHasBias].toBool()) mask[2] = ctx->needs_input_grad(edge++);
    auto [input, weight, bias] = at::native_batch_norm_backward(
        grads[0], saved[0], saved[1], /*running_mean=*/{}, /*running_var=*/{}, saved[2], saved[3],
        /*train=*/true, ctx->saved_data[kEpsilon].toDouble(), mask);
    return {input, weight, bias, {}, {}, {}};
  }
};

at::Tensor copy_of(const OptionalTensor& statistic) {
  return statistic && statistic->defined() ? statistic->clone() : at::empty({0});
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm_forward(
    const at::Tensor& input, const OptionalTensor& weight, const OptionalTensor& bias,
    const OptionalTensor& running_mean, const OptionalTensor& running_var, bool training,
    double momentum, double eps, bool cudnn_enabled) {
  const bool has_statistics = training && input.is_cpu() && input.layout() == at::kStrided &&
                              !at::isTensorSubclassLike(input) && input.numel() > 0;
  if (has_statistics) {  // what at::batch_norm calls
    auto [output, mean, invstd, reserve, backend] =
        at::_batch_norm_impl_index(input, weight, bias, running_mean, running_var,
                                   /*training=*/true, momentum, eps, cudnn_enabled);
    return {output, mean, invstd};
  }
  // Copied first: running_mean may be any tensor, also one that the norm changes.
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
  const bool has_loop = !has_tangent(input) && !has_tangent(w) && !has_tangent(b) &&
                        cpu::has_exact_loop({input, w, b, first, second});
  if (has_loop) return KnownStatistics::apply(input, given(w), given(b), first, second, eps);
  // The copies are running statistics to be thrown away: ATen chooses a kernel by their dtype too.
  return aten(first.clone(), second.clone());
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CompositeImplicitAutograd, m) {
  m.impl("_batch_norm_forward", &batch_norm_forward);
  m.impl("_batch_norm_again", &batch_norm_again);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  m.impl("_batch_norm_forward", &batch_norm_forward);
  m.impl("_batch_norm_again", &batch_norm_again);
}

}  // namespace invact::kernels
