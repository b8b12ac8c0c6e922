// CUDA kernels of dropout of an activation, out of those of dropout and of activations: outputs are
// had back into a tensor of their own.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <optional>
#include <string_view>
#include <variant>

#include "kernels/activation/device_kernels.h"
#include "kernels/cuda/activation_loops.h"
#include "kernels/cuda/dropout_loops.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/element_type_of.h"

namespace invact::kernels {
namespace {

/// No refinement codes on a GPU, so that the bits are those of the input alone.
at::Tensor dropped_bits(const at::Tensor& self, const at::Tensor& dropped, const at::Tensor& kept,
                        double /*p*/, std::string_view name) {
  check_kept(dropped, kept);
  const ActivationFunction function = checked_function(name);
  at::Tensor branch = at::empty({branch_byte_count(function, dropped.numel())}, kept.options());
  if (dropped.numel() == 0) return branch;
  const c10::cuda::CUDAGuard guard(dropped.device());
  const at::Tensor input = in_memory_order(self, dropped.strides());
  const auto pack = [&]<class F>(const F& f) {
    if constexpr (F::kBranchBits > 0) {
      cuda::launch_pack(f, element_type_of(input), input.const_data_ptr(), input.numel(),
                        branch.mutable_data_ptr<uint8_t>(), c10::cuda::getCurrentCUDAStream());
    }
  };
  std::visit(pack, function);
  return branch;
}

at::Tensor dropped_backward(const at::Tensor& grad_output, const at::Tensor& dropped,
                            const at::Tensor& kept, const std::optional<at::Tensor>& branch,
                            at::IntArrayRef strides, double p, std::string_view name,
                            at::ArrayRef<double> parameters) {
  check_kept(dropped, kept);
  const c10::cuda::CUDAGuard guard(dropped.device());
  const Recovery recovered =
      recovery(checked_function(name, parameters), at::kCUDA, dropped.scalar_type(), p);
  const at::Tensor ordered = in_memory_order(dropped, strides);
  const at::Tensor bits = kept.contiguous();
  const at::Tensor output = at::empty_strided(dropped.sizes(), strides, dropped.options());
  if (output.numel() > 0) {
    cuda::launch_recover(element_type_of(ordered), ordered.const_data_ptr(),
                         bits.const_data_ptr<uint8_t>(), recovered.divisor,
                         output.mutable_data_ptr(), output.numel(),
                         c10::cuda::getCurrentCUDAStream());
  }
  const auto symbolic = c10::fromIntArrayRefSlow(strides);
  const at::Tensor gradient = dropout_backward(grad_output, kept, symbolic, p, /*in_place=*/false);
  return activation_backward(gradient, output, branch, symbolic, recovered.function);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
  m.impl("_activation_dropped_bits", &dropped_bits);
  m.impl("_activation_dropped_backward", &dropped_backward);
}

}  // namespace invact::kernels
