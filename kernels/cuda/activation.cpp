// CUDA kernels: device guard, current stream and dtype around the launches of
// activation_loops.h. Temporary
// memory comes from at::empty and so from the caching allocator; nothing here synchronizes.
#include "kernels/activation/device_kernels.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <variant>

#include "kernels/cuda/activation_loops.h"
#include "kernels/element_type_of.h"

namespace invact::kernels {
namespace {

// No refinement codes on the GPU: its backward would have to read them.
void pack(const ActivationFunction& function, const at::Tensor& input, at::Tensor& branch) {
  const c10::cuda::CUDAGuard guard(input.device());
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  std::visit(
      [&]<class F>(const F& f) {
        if constexpr (F::kBranchBits > 0) {
          cuda::launch_pack(f, element_type_of(input), input.const_data_ptr(), input.numel(),
                            branch.mutable_data_ptr<uint8_t>(), stream);
        }
      },
      function);
}

struct CudaKernels {
  static at::Tensor forward(const ActivationFunction& function, const at::Tensor& self,
                            at::Tensor& branch) {
    at::Tensor output = aten_forward(function, self);
    if (output.numel() > 0) pack(function, in_memory_order(self, output.strides()), branch);
    return output;
  }

  static void forward_out(const ActivationFunction& function, const at::Tensor& self,
                          at::Tensor& output, at::Tensor& branch) {
    aten_forward_out(function, self, output);
    pack(function, self, branch);
  }

  static void backward(const ActivationFunction& function, const GradientTensors& tensors) {
    const c10::cuda::CUDAGuard guard(tensors.output.device());
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
    const cuda::BackwardArrays arrays{
        tensors.grad_output.const_data_ptr(), tensors.output.const_data_ptr(),
        tensors.branch.defined() ? tensors.branch.const_data_ptr<uint8_t>() : nullptr,
        tensors.grad_input.mutable_data_ptr(), tensors.output.numel()};
    std::visit(
        [&](const auto& f) {
          cuda::launch_backward(f, element_type_of(tensors.output), arrays, stream);
        },
        function);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
  DeviceKernels<CudaKernels>::register_in(m);
}

}  // namespace invact::kernels
