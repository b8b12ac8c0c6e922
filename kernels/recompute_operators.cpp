#include "kernels/recompute_operators.h"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace invact::kernels {

at::Tensor batch_norm_again(const at::Tensor& input, const std::optional<at::Tensor>& weight,
                            const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& running_mean,
                            const std::optional<at::Tensor>& running_var, bool training,
                            double momentum, double eps, bool cudnn_enabled) {
  const std::optional<at::Tensor> none;
  return at::batch_norm(input, weight, bias, training ? none : running_mean,
                        training ? none : running_var, training, momentum, eps, cudnn_enabled);
}

std::tuple<at::Tensor, at::Tensor> batch_norm_statistics(
    const std::optional<at::Tensor>& running_mean, const std::optional<at::Tensor>& running_var,
    bool training) {
  const auto copy = [training](const std::optional<at::Tensor>& statistic) {
    const bool is_read = !training && statistic && statistic->defined();
    return is_read ? statistic->clone() : at::empty({0});
  };
  return {copy(running_mean), copy(running_var)};
}

TORCH_LIBRARY_IMPL(invact, CompositeImplicitAutograd, m) {
  m.impl("_batch_norm_again", &batch_norm_again);
  m.impl("_batch_norm_statistics", &batch_norm_statistics);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  m.impl("_batch_norm_again", &batch_norm_again);
}

}  // namespace invact::kernels
