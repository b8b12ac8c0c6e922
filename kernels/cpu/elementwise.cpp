// CPU kernels: threads and the choice of instruction set around the loops of loops.h.
#include "kernels/elementwise.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <variant>

#include "kernels/cpu/loops.h"

namespace invact::kernels {
namespace {

// Blocks that are worth a thread (ATen's grain for elementwise work is 32768 elements).
constexpr int64_t kGrainBlocks = 32768 / cpu::kBlock;

cpu::Storage storage_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kDouble:
      return cpu::Storage::kFloat64;
    case at::kFloat:
      return cpu::Storage::kFloat32;
    case at::kBFloat16:
      return cpu::Storage::kBFloat16;
    case at::kHalf:
      return cpu::Storage::kFloat16;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "invact: operators are not implemented for dtype ",
                                  tensor.scalar_type(),
                                  "; supported are float64, float32, bfloat16 and float16");
  }
}

const char* at_element(const at::Tensor& tensor, int64_t element) {
  return static_cast<const char*>(tensor.const_data_ptr()) + element * tensor.element_size();
}

/// Calls `work(first element, element count, first byte)` for ranges of whole blocks.
template <class Work>
void for_each_range(int64_t element_count, const Work& work) {
  const int64_t block_count = (element_count + cpu::kBlock - 1) / cpu::kBlock;
  at::parallel_for(0, block_count, kGrainBlocks, [&](int64_t first_block, int64_t end_block) {
    const int64_t first = first_block * cpu::kBlock;
    work(first, std::min(end_block * cpu::kBlock, element_count) - first, first / 8);
  });
}

struct CpuLoops {
  static void pack(const ActivationFunction& function, const at::Tensor& input,
                   at::Tensor& branch) {
    const cpu::Storage storage = storage_of(input);
    uint8_t* bits = branch.mutable_data_ptr<uint8_t>();
    std::visit(
        [&]<class F>(const F& f) {
          const cpu::PackLoop<F> loop =
              cpu::has_avx2() ? &cpu::avx2::pack<F> : &cpu::baseline::pack<F>;
          for_each_range(input.numel(), [&](int64_t first, int64_t count, int64_t first_byte) {
            loop(f, storage, at_element(input, first), count, bits + first_byte);
          });
        },
        function);
  }

  static void refine(const ActivationFunction& function, const at::Tensor& input,
                     const at::Tensor& output, at::Tensor& branch) {
    if (output.scalar_type() != at::kFloat) return;
    const float* x = input.const_data_ptr<float>();
    const float* y = output.const_data_ptr<float>();
    uint8_t* bits = branch.mutable_data_ptr<uint8_t>();
    std::visit(
        [&]<class F>(const F& f) {
          const cpu::RefineLoop<F> loop =
              cpu::has_avx2() ? &cpu::avx2::refine<F> : &cpu::baseline::refine<F>;
          for_each_range(output.numel(), [&](int64_t first, int64_t count, int64_t first_byte) {
            loop(f, x + first, y + first, count, bits + first_byte);
          });
        },
        function);
  }

  static void backward(const ActivationFunction& function, const GradientTensors& tensors) {
    const cpu::Storage storage = storage_of(tensors.output);
    char* grad_input = static_cast<char*>(tensors.grad_input.mutable_data_ptr());
    const int64_t element_bytes = tensors.output.element_size();
    std::visit(
        [&]<class F>(const F& f) {
          const cpu::BackwardLoop<F> loop =
              cpu::has_avx2() ? &cpu::avx2::backward<F> : &cpu::baseline::backward<F>;
          for_each_range(
              tensors.output.numel(), [&](int64_t first, int64_t count, int64_t first_byte) {
                loop(f, storage,
                     {at_element(tensors.grad_output, first), at_element(tensors.output, first),
                      tensors.branch.const_data_ptr<uint8_t>() + first_byte,
                      grad_input + first * element_bytes, count});
              });
        },
        function);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CPU, m) {
#define INVACT_REGISTER(Operator) \
  register_internal<DeviceKernels<CpuLoops, Operator>>(m, Operator::kName);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

}  // namespace invact::kernels
