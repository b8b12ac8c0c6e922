// CUDA kernels: device guard, current stream and dtype around the launches of loops.h. Temporary
// memory comes from at::empty and so from the caching allocator; nothing here synchronizes.
#include "kernels/elementwise.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <variant>

#include "kernels/cuda/loops.h"

namespace invact::kernels {
namespace {

cuda::Storage storage_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kDouble:
      return cuda::Storage::kFloat64;
    case at::kFloat:
      return cuda::Storage::kFloat32;
    case at::kBFloat16:
      return cuda::Storage::kBFloat16;
    case at::kHalf:
      return cuda::Storage::kFloat16;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "invact: operators are not implemented for dtype ",
                                  tensor.scalar_type(),
                                  "; supported are float64, float32, bfloat16 and float16");
  }
}

struct CudaLoops {
  static void pack(const ActivationFunction& function, const at::Tensor& input,
                   at::Tensor& branch) {
    const c10::cuda::CUDAGuard guard(input.device());
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
    std::visit(
        [&](const auto& f) {
          cuda::launch_pack(f, storage_of(input), input.const_data_ptr(), input.numel(),
                            branch.mutable_data_ptr<uint8_t>(), stream);
        },
        function);
  }

  // No codes on the GPU: its backward would have to read them.
  static void refine(const ActivationFunction&, const at::Tensor&, const at::Tensor&, at::Tensor&) {
  }

  static void backward(const ActivationFunction& function, const GradientTensors& tensors) {
    const c10::cuda::CUDAGuard guard(tensors.output.device());
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
    const cuda::BackwardArrays arrays{
        tensors.grad_output.const_data_ptr(), tensors.output.const_data_ptr(),
        tensors.branch.const_data_ptr<uint8_t>(), tensors.grad_input.mutable_data_ptr(),
        tensors.output.numel()};
    std::visit(
        [&](const auto& f) {
          cuda::launch_backward(f, storage_of(tensors.output), arrays, stream);
        },
        function);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CUDA, m) {
#define INVACT_REGISTER(Operator) \
  register_internal<DeviceKernels<CudaLoops, Operator>>(m, Operator::kName);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

}  // namespace invact::kernels
