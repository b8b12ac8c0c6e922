// CUDA kernels of dropout: ATen's own operators draw and multiply; what they drew is packed to
// bits.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/native_dropout.h>
#include <ATen/ops/ones.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/cuda/dropout_loops.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/element_type_of.h"
#include "kernels/memory_layout.h"

namespace invact::kernels {
namespace {

/// `drawn`: dense booleans.
at::Tensor pack(const at::Tensor& drawn) {
  const c10::cuda::CUDAGuard guard(drawn.device());
  at::Tensor kept = at::empty({(drawn.numel() + 7) / 8}, drawn.options().dtype(at::kByte));
  cuda::launch_pack_drawn(static_cast<const uint8_t*>(drawn.const_data_ptr()), drawn.numel(),
                          kept.mutable_data_ptr<uint8_t>(), c10::cuda::getCurrentCUDAStream());
  return kept;
}

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& input, double p) {
  element_type_of(input);  // refuses other dtypes before anything is drawn
  auto [output, drawn] = at::native_dropout(input, p, /*train=*/true);
  const at::Tensor like = at::empty_like(input, input.options().device(at::kMeta));
  return {std::move(output), pack(in_memory_order(drawn, like.strides()))};
}

/// ATen's dropout_ draws as bernoulli_ does, otherwise than native_dropout.
at::Tensor forward_in_place(at::Tensor& self, double p) {
  element_type_of(self);
  const at::Tensor noise = at::empty_like(self).bernoulli_(1 - p);
  const at::Tensor drawn = noise.to(at::kBool);
  self.mul_(noise.div_(1 - p));
  return pack(in_memory_order(drawn, noise.strides()));
}

/// native_dropout multiplies by float64's 1 / (1 - p), rounded to compute dtype; dropout_ by the
/// element type's.
double kept_scale(const at::Tensor& grad_output, double p, bool in_place) {
  if (!in_place) return 1 / (1 - p);
  return at::ones({1}, at::TensorOptions().dtype(grad_output.dtype())).div_(1 - p).item<double>();
}

at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& kept, at::IntArrayRef strides,
                    double p, bool in_place) {
  check_kept(grad_output, kept);
  at::Tensor grad_input = at::empty_strided(grad_output.sizes(), strides, grad_output.options());
  if (grad_input.numel() == 0) return grad_input;
  const c10::cuda::CUDAGuard guard(grad_output.device());
  const at::Tensor ordered = in_memory_order(grad_output, strides);
  const at::Tensor bits = kept.contiguous();
  cuda::launch_keep(element_type_of(grad_output), ordered.const_data_ptr(),
                    bits.const_data_ptr<uint8_t>(), kept_scale(grad_output, p, in_place),
                    grad_input.mutable_data_ptr(), grad_input.numel(),
                    c10::cuda::getCurrentCUDAStream());
  return grad_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
  m.impl("_dropout_forward", &forward);
  m.impl("_dropout_forward_", &forward_in_place);
  m.impl("_dropout_backward", &backward);
}

}  // namespace invact::kernels
