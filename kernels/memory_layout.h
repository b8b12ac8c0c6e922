// How the elements of a tensor lie in memory: bringing tensors of any strides into one order, and
// laying a gradient out as ATen does. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/mul.h>

namespace invact::kernels {

/// Whether two strides order the memory of a tensor of these sizes alike: those of dimensions of
/// size 1 are arbitrary.
inline bool same_memory_order(at::IntArrayRef sizes, at::IntArrayRef a, at::IntArrayRef b) {
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 1 && a[i] != b[i]) return false;
  }
  return true;
}

/// `tensor` with the given dense strides: itself where it has them, else a copy.
inline at::Tensor in_memory_order(const at::Tensor& tensor, at::IntArrayRef strides) {
  if (tensor.numel() == 0 || same_memory_order(tensor.sizes(), tensor.strides(), strides))
    return tensor;
  return at::empty_strided(tensor.sizes(), strides, tensor.options()).copy_(tensor);
}

/// `gradient`, laid out as ATen's elementwise operators lay out their result of `grad_output` and a
/// tensor of `gradient`'s strides. A gradient that is ATen's bit for bit needs it: a sum over it
/// further on, as a bias's gradient is, adds in the order of memory. No such promise is made on
/// other devices than the CPU, nor where sizes are symbolic: torch.compile lays out its own
/// tensors.
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
