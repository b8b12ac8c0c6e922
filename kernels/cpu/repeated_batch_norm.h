// The second run of a batch norm of a training step, on the CPU: the first run's statistics are
// known, so that this one has ATen's output, bit for bit, without the pass over the input that ATen
// takes two thirds of its time for. Below autograd. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace invact::kernels::cpu {

/// `weight` and `bias` may be undefined; `mean` and `invstd` are what ATen's operator saved.
struct RepeatedBatchNorm {
  const at::Tensor& input;
  const at::Tensor& weight;
  const at::Tensor& bias;
  const at::Tensor& mean;
  const at::Tensor& invstd;
};

/// Whether a loop has ATen's bits for these tensors. That depends on their layouts and dtypes, and
/// on ATen's kernel on this processor, which the first call for a dtype and layout tries out.
bool has_exact_loop(const RepeatedBatchNorm& norm);

/// Only where has_exact_loop(). The result has the layout of ATen's output.
at::Tensor repeated_batch_norm(const RepeatedBatchNorm& norm);

}  // namespace invact::kernels::cpu
