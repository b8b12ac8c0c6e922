// CPU kernels: threads and the choice of instruction set around the loops of loops.h.
#include "kernels/elementwise.h"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <variant>

#include "kernels/cpu/loops.h"

namespace invact::kernels {
namespace {

// Elements that are worth a thread (ATen's grain for elementwise work), in bytes of bits: threads
// then never share a byte.
constexpr int64_t kGrainBytes = 32768 / 8;

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

/// Calls `work(first element, element count, first byte)` for ranges of whole bytes.
template <class Work>
void for_each_range(int64_t element_count, const Work& work) {
  at::parallel_for(0, branch_byte_count(element_count), kGrainBytes,
                   [&](int64_t first_byte, int64_t end_byte) {
                     const int64_t first = 8 * first_byte;
                     work(first, std::min(8 * end_byte, element_count) - first, first_byte);
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
