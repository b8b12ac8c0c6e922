// CUDA kernels of the norms: device guard, current stream and memory around the launches of
// norm_loops.h.
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/cuda/norm_loops.h"
#include "kernels/cuda/norm_recovery_cache.h"
#include "kernels/element_type_of.h"
#include "kernels/norm/norm_kernels.h"

namespace invact::kernels {
namespace {

struct CudaNorms {
  static constexpr bool kTakesAnyDtype = false;

  static void backward(const NormGradient& gradient) {
    const c10::cuda::CUDAGuard guard(gradient.output.device());
    const auto address = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.const_data_ptr() : nullptr;
    };
    const auto writable = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.mutable_data_ptr() : nullptr;
    };
    at::Tensor partial_sums;
    if (gradient.grad_weight.defined() || gradient.grad_bias.defined()) {
      partial_sums = at::empty({cuda::norm_row_blocks(gradient.rows), 2, gradient.columns},
                               gradient.rstd.options());
    }
    cuda::launch_norm_gradient(
        element_type_of(gradient.output), gradient.is_centered,
        {address(gradient.grad_output), address(gradient.output), address(gradient.rstd),
         address(gradient.parameters.weight), address(gradient.parameters.bias),
         writable(gradient.grad_input), writable(partial_sums), writable(gradient.grad_weight),
         writable(gradient.grad_bias), gradient.rows, gradient.columns},
        c10::cuda::getCurrentCUDAStream());
  }

  static bool recoverable(const NormParameters& parameters, double weight_offset,
                          at::ScalarType dtype) {
    return cuda::is_recoverable(parameters, weight_offset, dtype);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
  NormKernels<CudaNorms>::register_in(m);
}

}  // namespace invact::kernels
