// The schemas of the operators of exact recompute segments: a segment is a run of cheap operators
// that saves its inputs alone and runs again in backward, and whose output's memory is freed
// although a heavy operator saved it. What a segment owns: segment.h. Registered in autograd.cpp
// and repeated_batch_norm.cpp. Internal.
#pragma once

namespace invact::kernels {

// `module`: a TorchScript object. `chain`: the name of a method of its class, called with `inputs`
// and then with what `extra`, a tuple, holds: numbers, flags, and tensors that are not to be saved.
// The method returns y, or (y, saved...), whose further tensors backward needs. Where the class has
// a method "<chain>_again", backward runs that one instead, with the same arguments and then
// `saved`; it returns y alone. It is for what must not happen twice: a drawing of random numbers,
// or an update of statistics.
constexpr const char* kRecomputeSchema =
    "recompute(Any module, str chain, Tensor[] inputs) -> Tensor";
constexpr const char* kRecomputeExtraSchema =
    "recompute.extra(Any module, str chain, Tensor[] inputs, Any extra) -> Tensor";
// `self`: a segment's output, or any alias of it. `users`: the results of operators that saved it;
// before the backward of each of them the segment is refilled. `last` frees the memory, if nothing
// speaks against it. For a tensor that no segment made the operator does nothing.
constexpr const char* kReleaseSchema = "release(Tensor self, Tensor[] users, bool last) -> ()";

// aten::batch_norm, and what the second run needs of it: in training on the CPU the mean and invstd
// that ATen saves; elsewhere in training two empty tensors, since there the second run computes
// them again; in evaluation copies of the running statistics, which later steps may change.
constexpr const char* kBatchNormForwardSchema =
    "_batch_norm_forward(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
    "running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> (Tensor output, "
    "Tensor first, Tensor second)";
// The second run: the same output and gradients, and no update of running statistics.
constexpr const char* kBatchNormAgainSchema =
    "_batch_norm_again(Tensor input, Tensor? weight, Tensor? bias, Tensor first, Tensor second, "
    "bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor";

}  // namespace invact::kernels
