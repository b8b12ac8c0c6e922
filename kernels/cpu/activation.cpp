// CPU kernels: threads, cache and the choice of instruction set around the loops of
// activation_loops.h. ATen's own kernel makes the output; where it treats every element alike it is
// called chunk by chunk, so that the bits are packed while input and output are in cache. Functions
// whose ATen kernel is known to the last bit have a loop of their own, which makes output and bits
// in one pass.
#include "kernels/activation/device_kernels.h"

#include <ATen/ops/add_cpu_dispatch.h>
#include <ATen/ops/div_cpu_dispatch.h>
#include <ATen/ops/erf_cpu_dispatch.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu_cpu_dispatch.h>
#include <ATen/ops/hardswish_cpu_dispatch.h>
#include <ATen/ops/mish_cpu_dispatch.h>
#include <ATen/ops/mul_cpu_dispatch.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sigmoid_cpu_dispatch.h>
#include <ATen/ops/silu_cpu_dispatch.h>
#include <c10/core/ScalarTypeToTypeMeta.h>
#include <c10/core/TensorImpl.h>
#include <torch/library.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/dense_memory.h"
#include "kernels/element_type_of.h"

namespace invact::kernels {
namespace {

using cpu::at_element;
using cpu::flat_range;
using cpu::for_each_block_range;
using cpu::for_each_range;
using cpu::next_block;

/// Elements of one call of ATen's kernel: input and output stay in the second-level cache until the
/// bits are packed.
constexpr int64_t kChunk = 32768;
/// The same where ATen runs oneDNN (erf GELU), a call of which costs about as much as 13,000
/// elements: they stay in the third-level cache.
constexpr int64_t kOneDnnChunk = int64_t{1} << 18;
static_assert(kChunk % cpu::kBlock == 0 && kOneDnnChunk % kChunk == 0);

void pack(const ActivationFunction& function, const at::Tensor& input, const at::Tensor& output,
          uint8_t* bits, int64_t first, int64_t count) {
  const ElementType type = element_type_of(input);
  const cpu::ForwardArrays arrays{at_element(input, first), at_element(output, first),
                                  bits + first / 8, count};
  std::visit(
      [&]<class F>(const F& f) {
        if constexpr (F::kBranchBits > 0) {
          cpu::pack_loop<F>()(f, type, arrays);
        }
      },
      function);
}

/// As ATen's binary operators see a number: its dtype does not promote the tensor's.
at::Tensor python_number(double value) {
  at::Tensor number = at::scalar_tensor(value, at::kDouble);
  number.unsafeGetTensorImpl()->set_wrapped_number(true);
  return number;
}

/// ATen's CPU kernel, into `output`, without the dispatcher (no autograd, no profiler): `input` and
/// `output` are contiguous.
struct ForwardKernel {
  const at::Tensor& input;
  at::Tensor& output;

  void operator()(const math::Gelu&) const { at::cpu::gelu_out(output, input, "none"); }
  void operator()(const math::GeluTanh&) const { at::cpu::gelu_out(output, input, "tanh"); }
  void operator()(const math::Silu&) const { at::cpu::silu_out(output, input); }
  void operator()(const math::Mish&) const { at::cpu::mish_out(output, input); }
  void operator()(const math::Hardswish&) const { at::cpu::hardswish_out(output, input); }
  void operator()(const math::ErfGelu&) const {
    if (at::isReducedFloatingType(input.scalar_type())) return (*this)(math::Gelu{});
    static const at::Tensor divisor = python_number(M_SQRT2);
    static const at::Tensor one = python_number(1);
    static const at::Tensor half = python_number(0.5);
    at::cpu::div_out(output, input, divisor);
    at::cpu::erf_out(output, output);
    at::cpu::add_out(output, output, one);
    at::cpu::mul_out(output, output, half);
    at::cpu::mul_out(output, input, output);
  }
  void operator()(const math::QuickGelu&) const {
    static const at::Tensor rate = python_number(math::QuickGelu::kRate);
    at::cpu::mul_out(output, input, rate);
    at::cpu::sigmoid_out(output, output);
    at::cpu::mul_out(output, input, output);
  }
  template <class Function>
  void operator()(const Function&) const {
    TORCH_CHECK(false, "invact: function '", Function::kName, "' has no branch bit");
  }
};

/// The strides of ATen's output for a dense `self` whose elements ATen's kernel treats alike in any
/// order; none where it does not, or where `self` is not dense. ATen's erf GELU runs oneDNN
/// on contiguous tensors and another kernel, with other values, on the rest.
std::optional<at::Tensor> chunked_output(const ActivationFunction& function,
                                         const at::Tensor& self) {
  if (self.is_contiguous()) return at::empty(self.sizes(), self.options());
  const bool is_gelu = std::holds_alternative<math::Gelu>(function) ||
                       (std::holds_alternative<math::ErfGelu>(function) &&
                        at::isReducedFloatingType(self.scalar_type()));
  if (is_gelu) return std::nullopt;
  for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::ChannelsLast3d}) {
    if (self.is_contiguous(format)) {
      return at::empty(self.sizes(), self.options().memory_format(format));
    }
  }
  return std::nullopt;
}

/// Outputs `begin` to `end` by ATen's kernel.
void aten_forward_range(const ActivationFunction& function, const at::Tensor& self,
                        at::Tensor& output, int64_t begin, int64_t end) {
  const at::Tensor range_input = flat_range(self, begin, end - begin);
  at::Tensor range_output = flat_range(output, begin, end - begin);
  std::visit(ForwardKernel{range_input, range_output}, function);
}

/// The same, and the bits of the blocks that they lie in.
void forward_by_aten(const ActivationFunction& function, const at::Tensor& self, at::Tensor& output,
                     uint8_t* bits, int64_t begin, int64_t end) {
  aten_forward_range(function, self, output, begin, end);
  const int64_t first = begin / cpu::kBlock * cpu::kBlock;
  pack(function, self, output, bits, first, std::min(next_block(end), output.numel()) - first);
}

/// Output and bits in one pass by our own loop; NaN, whose payloads depend on the loop, is left to
/// ATen. So are the last elements of ATen's ranges: it computes them one by one, which can differ
/// by an ulp from what its vectors give. A block holds whole vectors of every instruction set.
template <class F>
void own_forward(const F& f, const at::Tensor& self, at::Tensor& output, uint8_t* bits) {
  const ElementType type = element_type_of(self);
  const cpu::ForwardLoop<F> loop = cpu::forward_loop<F>();
  char* const to = static_cast<char*>(output.mutable_data_ptr());
  std::mutex mutex;
  std::vector<std::pair<int64_t, int64_t>> tails;
  for_each_range(output, [&](int64_t begin, int64_t end) {
    const int64_t tail = begin + (end - begin) / cpu::kBlock * cpu::kBlock;
    if (tail != end) {
      const std::lock_guard lock(mutex);
      tails.emplace_back(tail, end);
    }
    const int64_t last = std::min(next_block(end), output.numel());
    for (int64_t first = next_block(begin); first < last; first += kChunk) {
      const int64_t count = std::min(kChunk, last - first);
      const cpu::OwnForwardArrays arrays{
          at_element(self, first), to + first * output.element_size(), bits + first / 8, count};
      if (!loop(f, type, arrays)) {
        forward_by_aten(f, self, output, bits, first, first + count);
      }
    }
  });
  for (const auto& [begin, end] : tails) forward_by_aten(f, self, output, bits, begin, end);
}

/// Whether our own loop gives the bits of this LibTorch's kernel, on inputs over which the function
/// bends: another release may compute by another formula, which shows in many of them.
template <class F, class Number>
bool computes_as_aten(const F& f) {
  constexpr int64_t kCount = 4096;
  constexpr int64_t kMiddle = kCount / 2;
  constexpr float kStep = 0x1.033ff5p-7f;  // from -16 to 16, mantissas of all kinds
  std::vector<Number> x(kCount);
  std::vector<Number> by_aten(kCount);
  std::vector<Number> by_us(kCount);
  std::vector<uint8_t> bits(kCount / 8);
  for (int64_t i = 0; i < kCount; ++i) {
    x[static_cast<size_t>(i)] = static_cast<Number>(static_cast<float>(i - kMiddle) * kStep);
  }
  constexpr at::ScalarType kDtype = c10::CppTypeToScalarType<Number>::value;
  const at::Tensor input = at::from_blob(x.data(), {kCount}, kDtype);
  at::Tensor output = at::from_blob(by_aten.data(), {kCount}, kDtype);
  ForwardKernel{input, output}(f);
  return cpu::forward_loop<F>()(f, element_type_of(input),
                                {x.data(), by_us.data(), bits.data(), kCount}) &&
         by_us == by_aten;
}

template <class F, class Number>
bool has_own_forward(const F& f) {
  static const bool computes = computes_as_aten<F, Number>(f);
  return computes;
}
template <class F>
bool has_own_forward(const F& f, at::ScalarType dtype) {
  if (dtype == at::kFloat) return has_own_forward<F, float>(f);
  if (dtype == at::kBFloat16) return has_own_forward<F, at::BFloat16>(f);
  if (dtype == at::kHalf) return has_own_forward<F, at::Half>(f);
  return has_own_forward<F, double>(f);
}

/// @return whether there is an own loop for it.
bool forward_by_own_loop(const ActivationFunction& function, const at::Tensor& self,
                         at::Tensor& output, uint8_t* bits) {
  return std::visit(
      [&]<class F>(const F& f) {
        if constexpr (kHasOwnForward<F>) {
          if (!has_own_forward(f, self.scalar_type())) return false;
          own_forward(f, self, output, bits);
          return true;
        }
        return false;
      },
      function);
}

struct CpuKernels {
  static void forward_out(const ActivationFunction& function, const at::Tensor& self,
                          at::Tensor& output, at::Tensor& branch) {
    uint8_t* const bits = branch.mutable_data_ptr<uint8_t>();
    if (forward_by_own_loop(function, self, output, bits)) return;
    const int64_t total = self.numel();
    const auto pack_blocks = [&](int64_t first, int64_t end) {
      if (first < end) pack(function, self, output, bits, first, end - first);
    };
    std::mutex mutex;
    std::vector<int64_t> split_blocks;  // first elements of blocks that two threads share
    const int64_t chunk = std::holds_alternative<math::Gelu>(function) ? kOneDnnChunk : kChunk;
    // ATen's own ranges: its kernels compute the last elements of a range one by one, which can
    // differ by an ulp from what their vectors give.
    for_each_range(output, [&](int64_t begin, int64_t end) {
      int64_t packed = next_block(begin);
      if (packed != begin) {
        const std::lock_guard lock(mutex);
        split_blocks.push_back(packed - cpu::kBlock);
      }
      for (int64_t first = begin; first < end; first += chunk) {
        const int64_t count = std::min(chunk, end - first);
        if (count == total && self.is_contiguous() && output.is_contiguous()) {
          // Tensors of their own for the chunk would be a tenth of a small call's time.
          std::visit(ForwardKernel{self, output}, function);
        } else {
          aten_forward_range(function, self, output, first, first + count);
        }
        const int64_t computed = first + count;
        const int64_t whole =
            computed == total ? total : std::max(packed, computed / cpu::kBlock * cpu::kBlock);
        pack_blocks(packed, whole);
        packed = std::max(packed, whole);
      }
    });
    for (const int64_t first : split_blocks) {
      pack_blocks(first, std::min(first + cpu::kBlock, total));
    }
  }

  static at::Tensor forward(const ActivationFunction& function, const at::Tensor& self,
                            at::Tensor& branch) {
    if (self.numel() > 0) {
      if (std::optional<at::Tensor> output = chunked_output(function, self)) {
        element_type_of(self);  // refuses other dtypes
        forward_out(function, self, *output, branch);
        return *output;
      }
    }
    at::Tensor output = aten_forward(function, self);
    const at::Tensor input = in_memory_order(self, output.strides());
    uint8_t* const bits = branch.mutable_data_ptr<uint8_t>();
    if (output.numel() == 0) return output;
    for_each_block_range(output, [&](int64_t first, int64_t end) {
      pack(function, input, output, bits, first, end - first);
    });
    return output;
  }

  static void backward(const ActivationFunction& function, const GradientTensors& tensors) {
    const ElementType type = element_type_of(tensors.output);
    char* const grad_input = static_cast<char*>(tensors.grad_input.mutable_data_ptr());
    const int64_t element_bytes = tensors.output.element_size();
    const uint8_t* const bits =
        tensors.branch.defined() ? tensors.branch.const_data_ptr<uint8_t>() : nullptr;
    std::visit(
        [&]<class F>(const F& f) {
          const cpu::BackwardLoop<F> loop = cpu::backward_loop<F>();
          for_each_block_range(tensors.grad_input, [&](int64_t first, int64_t end) {
            loop(f, type,
                 {at_element(tensors.grad_output, first), at_element(tensors.output, first),
                  bits == nullptr ? nullptr : bits + first / 8, grad_input + first * element_bytes,
                  end - first});
          });
        },
        function);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CPU, m) {
  DeviceKernels<CpuKernels>::register_in(m);
}

}  // namespace invact::kernels
