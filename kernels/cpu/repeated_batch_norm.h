// A training batch norm on the CPU whose statistics are known: ATen's output, bit for bit, without
// the pass over the input that ATen takes two thirds of its time for. Below autograd. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace invact::kernels::cpu {

/// `weight` and `bias` may be undefined; `mean` and `invstd` are what ATen's operator saved.
struct KnownBatchNorm {
  const at::Tensor& input;
  const at::Tensor& weight;
  const at::Tensor& bias;
  const at::Tensor& mean;
  const at::Tensor& invstd;
};

/// Whether a loop has ATen's bits for these: their layouts and dtypes, and ATen's kernel on this
/// processor, which the first question of a dtype and layout tries.
bool has_known_batch_norm(const KnownBatchNorm& norm);

/// In the layout of ATen's output.
at::Tensor known_batch_norm(const KnownBatchNorm& norm);

}  // namespace invact::kernels::cpu
