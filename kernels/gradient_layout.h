// Where a gradient that is ATen's bit for bit lies in memory: as ATen's own does, since a sum over
// it further on, as a bias's gradient is, adds in that order. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/mul.h>

namespace invact::kernels {

/// `gradient`, laid out as ATen's elementwise operators lay out what they make of `grad_output` and
/// a tensor of `gradient`'s strides. On other devices than the CPU no such promise is made, nor
/// where sizes are symbolic: torch.compile lays out what it makes itself.
inline at::Tensor laid_out_as_by_aten(at::Tensor gradient, const at::Tensor& grad_output) {
  const auto is_symbolic = [](const at::Tensor& tensor) {
    return tensor.unsafeGetTensorImpl()->has_symbolic_sizes_strides();
  };
  if (is_symbolic(gradient) || is_symbolic(grad_output)) return gradient;
  const bool is_settled = !gradient.is_cpu() || !grad_output.is_cpu() ||
                          gradient.strides() == grad_output.strides() || gradient.numel() == 0;
  if (is_settled) return gradient;
  const auto on_meta = [](const at::Tensor& tensor) {
    return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kMeta));
  };
  const at::Tensor like = at::mul(on_meta(grad_output), on_meta(gradient));
  if (like.strides() == gradient.strides()) return gradient;
  return at::empty_strided(like.sizes(), like.strides(), gradient.options()).copy_(gradient);
}

}  // namespace invact::kernels
