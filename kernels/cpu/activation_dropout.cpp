// CPU kernels of dropout of an activation: a chunk's outputs are had back from what dropout made of
// them, and the loops of activations and of dropout run on the chunk while it is in cache.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <variant>

#include "kernels/activation/device_kernels.h"
#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/dense_memory.h"
#include "kernels/cpu/dropout_loops.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/element_type_of.h"

namespace invact::kernels {
namespace {

using cpu::at_element;

/// Elements at once: two buffers of the widest dtype fit the first-level cache's half.
constexpr int64_t kChunk = 1024;
static_assert(kChunk % cpu::kBlock == 0);

struct alignas(64) ChunkBuffer {
  char bytes[kChunk * sizeof(double)];
};

/// What dropout made of an output, with its bits: dense, contiguous.
class Dropped {
 public:
  Dropped(const at::Tensor& tensor, const at::Tensor& kept, const Recovery& recovery)
      : tensor_(tensor),
        bits_(kept.const_data_ptr<uint8_t>()),
        divisor_(recovery.divisor),
        type_(element_type_of(tensor)) {}

  ElementType element_type() const { return type_; }
  const uint8_t* bits(int64_t first) const { return bits_ + first / 8; }

  void recover(int64_t first, int64_t count, ChunkBuffer& output) const {
    const auto loop = cpu::recover_loop();
    loop(type_, {at_element(tensor_, first), bits(first), divisor_, output.bytes, count});
  }

  /// Calls `work(first, count)` for chunks of all elements, on ATen's threads.
  template <class Work>
  void for_each_chunk(const Work& work) const {
    cpu::for_each_block_range(tensor_, [&work](int64_t begin, int64_t end) {
      for (int64_t first = begin; first < end; first += kChunk) {
        work(first, std::min(kChunk, end - first));
      }
    });
  }

 private:
  const at::Tensor& tensor_;
  const uint8_t* bits_;
  double divisor_;
  ElementType type_;
};

at::Tensor dropped_bits(const at::Tensor& self, const at::Tensor& dropped, const at::Tensor& kept,
                        double p, std::string_view name) {
  check_kept(dropped, kept);
  const ActivationFunction function = checked_function(name);
  TORCH_CHECK(dropped.is_non_overlapping_and_dense() && self.sizes() == dropped.sizes() &&
                  self.scalar_type() == dropped.scalar_type() && self.device() == dropped.device(),
              "invact: dropped must be dense, of the size, dtype and device of self");
  at::Tensor branch = at::empty({branch_byte_count(function, dropped.numel())}, kept.options());
  if (dropped.numel() == 0) return branch;
  const at::Tensor input = in_memory_order(self, dropped.strides());
  const at::Tensor ordered_kept = kept.contiguous();
  const Recovery recovered = recovery(function, at::kCPU, dropped.scalar_type(), p);
  const Dropped source(dropped, ordered_kept, recovered);
  uint8_t* const bits = branch.mutable_data_ptr<uint8_t>();
  const auto pack = [&]<class F>(const F& f) {
    if constexpr (F::kBranchBits > 0) {
      const cpu::PackLoop<F> loop = cpu::pack_loop<F>();
      source.for_each_chunk([&](int64_t first, int64_t count) {
        ChunkBuffer output;
        source.recover(first, count, output);
        loop(f, source.element_type(),
             {at_element(input, first), output.bytes, bits + first / 8, count});
      });
    }
  };
  std::visit(pack, function);
  return branch;
}

void check_backward(const ActivationFunction& function, const at::Tensor& grad_output,
                    const at::Tensor& dropped, const at::Tensor& kept,
                    const std::optional<at::Tensor>& branch) {
  check_kept(grad_output, kept);
  TORCH_CHECK(grad_output.sizes() == dropped.sizes() &&
                  grad_output.scalar_type() == dropped.scalar_type() &&
                  grad_output.device() == dropped.device(),
              "invact: the gradient must be of the size, dtype and device of the output");
  TORCH_CHECK(branch.has_value() == (branch_bits(function) > 0), "invact: '",
              function_name(function), "' has ", branch_bits(function), " branch bits per element");
  if (branch) check_branch(function, *branch, dropped);
}

at::Tensor dropped_backward(const at::Tensor& grad_output, const at::Tensor& dropped,
                            const at::Tensor& kept, const std::optional<at::Tensor>& branch,
                            at::IntArrayRef strides, double p, std::string_view name,
                            at::ArrayRef<double> parameters) {
  const ActivationFunction function = checked_function(name, parameters);
  check_backward(function, grad_output, dropped, kept, branch);
  at::Tensor grad_input = at::empty_strided(dropped.sizes(), strides, dropped.options());
  if (dropped.numel() == 0) return grad_input;
  const at::ScalarType dtype = dropped.scalar_type();
  const at::Tensor ordered = in_memory_order(dropped, strides);
  const at::Tensor gradient = in_memory_order(grad_output, strides);
  const at::Tensor ordered_kept = kept.contiguous();
  const at::Tensor ordered_branch = branch ? branch->contiguous() : at::Tensor();
  const double scale = dropout_scale(at::kCPU, dtype, p);
  const Recovery recovered = recovery(function, at::kCPU, dtype, p);
  const Dropped source(ordered, ordered_kept, recovered);
  const uint8_t* const bits = branch ? ordered_branch.const_data_ptr<uint8_t>() : nullptr;
  char* const to = static_cast<char*>(grad_input.mutable_data_ptr());
  const auto keep = cpu::keep_loop();
  const auto differentiate = [&]<class F>(const F& f) {
    const cpu::BackwardLoop<F> loop = cpu::backward_loop<F>();
    source.for_each_chunk([&](int64_t first, int64_t count) {
      ChunkBuffer output;
      ChunkBuffer grad;
      source.recover(first, count, output);
      keep(source.element_type(),
           {at_element(gradient, first), source.bits(first), scale, grad.bytes, count});
      loop(f, source.element_type(),
           {grad.bytes, output.bytes, bits == nullptr ? nullptr : bits + first / 8,
            to + first * grad_input.element_size(), count});
    });
  };
  std::visit(differentiate, recovered.function);
  return grad_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CPU, m) {
  m.impl("_activation_dropped_bits", &dropped_bits);
  m.impl("_activation_dropped_backward", &dropped_backward);
}

}  // namespace invact::kernels
