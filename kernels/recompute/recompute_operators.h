// The operators of exact recompute regions: a chain of cheap operators keeps its inputs alone and
// runs again in backward, and its output is given back although a heavy operator saved it. What a
// region is: autograd/region.h. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

namespace invact::kernels {

// `module`: a TorchScript object; `chain`: the name of a method of its class, called with `inputs`
// and then with what `extra`, a tuple, holds: numbers, flags, and tensors that are not to be saved.
// The method returns y, or (y, kept...), whose further tensors backward needs. Backward runs
// "<chain>_again" instead where the class has it, with the same and then `kept`, which returns y
// alone: for what must not happen twice, a drawing of random numbers or an update of statistics.
constexpr const char* kRecomputeSchema =
    "recompute(Any module, str chain, Tensor[] inputs) -> Tensor";
constexpr const char* kRecomputeExtraSchema =
    "recompute.extra(Any module, str chain, Tensor[] inputs, Any extra) -> Tensor";
// `self`: what a region gave, or any alias; `users`: the results of operators that saved it. Each
// has the region refilled before its backward; `last` gives the memory back, if nothing speaks
// against it. Of a tensor that is no region's it does nothing.
constexpr const char* kReleaseSchema = "release(Tensor self, Tensor[] users, bool last) -> ()";

// aten::batch_norm, and what the same once more needs of it: in training on the CPU the mean and
// invstd that ATen saves; elsewhere in training two empty tensors, since there it is computed
// again; else copies of the running statistics, which later steps may change.
constexpr const char* kBatchNormForwardSchema =
    "_batch_norm_forward(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
    "running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> (Tensor output, "
    "Tensor first, Tensor second)";
// The same output and gradients; no running statistics are updated.
constexpr const char* kBatchNormAgainSchema =
    "_batch_norm_again(Tensor input, Tensor? weight, Tensor? bias, Tensor first, Tensor second, "
    "bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor";
// The dropout that drew `kept` (dropout_operators.h), once more: the same bits of output.
constexpr const char* kDropoutAgainSchema =
    "_dropout_again(Tensor input, Tensor kept, float p, bool in_place) -> Tensor";

std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm_forward(
    const at::Tensor& input, const std::optional<at::Tensor>& weight,
    const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& running_mean,
    const std::optional<at::Tensor>& running_var, bool training, double momentum, double eps,
    bool cudnn_enabled);

at::Tensor batch_norm_again(const at::Tensor& input, const std::optional<at::Tensor>& weight,
                            const std::optional<at::Tensor>& bias, const at::Tensor& first,
                            const at::Tensor& second, bool training, double momentum, double eps,
                            bool cudnn_enabled);

/// cpu::known_batch_norm() with its gradient.
at::Tensor known_batch_norm(const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& mean,
                            const at::Tensor& invstd, double eps);

}  // namespace invact::kernels
