// CPU kernels of dropout: ATen draws one byte per element, exactly as it draws for its own dropout,
// and one pass makes bits and output of it.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/mul.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/cpu/dense_memory.h"
#include "kernels/cpu/dropout_loops.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/element_type_of.h"
#include "kernels/memory_layout.h"

namespace invact::kernels {
namespace {

double kept_scale(at::ScalarType dtype, double p) {
  return dropout_scale(at::kCPU, dtype, p);
}

at::Tensor drawn_like(const at::Tensor& input, double p) {
  return at::empty_like(input, input.options().dtype(at::kBool)).bernoulli_(1 - p);
}

at::Tensor empty_bits(const at::Tensor& drawn) {
  return at::empty({(drawn.numel() + 7) / 8}, drawn.options().dtype(at::kByte));
}

/// Packs `drawn`, and multiplies `input` into `output` where that is defined; all dense and of the
/// same strides.
at::Tensor drop(const at::Tensor& drawn, const at::Tensor& input, const at::Tensor& output,
                double scale) {
  at::Tensor kept = empty_bits(drawn);
  uint8_t* const bits = kept.mutable_data_ptr<uint8_t>();
  const ElementType type = element_type_of(input);
  const auto loop = cpu::drop_loop();
  char* const to = output.defined() ? static_cast<char*>(output.mutable_data_ptr()) : nullptr;
  const uint8_t* const bytes = static_cast<const uint8_t*>(drawn.const_data_ptr());
  cpu::for_each_block_range(drawn, [&](int64_t first, int64_t end) {
    loop(type, {to == nullptr ? nullptr : cpu::at_element(input, first), bytes + first, scale,
                to == nullptr ? nullptr : to + first * input.element_size(), bits + first / 8,
                end - first});
  });
  return kept;
}

void keep(const at::Tensor& input, const at::Tensor& kept, double scale, at::Tensor& output) {
  const ElementType type = element_type_of(input);
  const auto loop = cpu::keep_loop();
  char* const to = static_cast<char*>(output.mutable_data_ptr());
  const uint8_t* const bits = kept.const_data_ptr<uint8_t>();
  cpu::for_each_block_range(output, [&](int64_t first, int64_t end) {
    loop(type, {cpu::at_element(input, first), bits + first / 8, scale,
                to + first * input.element_size(), end - first});
  });
}

bool is_dense_like(const at::Tensor& input, const at::Tensor& drawn) {
  return input.is_non_overlapping_and_dense() &&
         same_memory_order(input.sizes(), input.strides(), drawn.strides());
}

/// What ATen multiplies by, and the bits: for inputs whose memory has gaps.
std::tuple<at::Tensor, at::Tensor> noise_and_bits(const at::Tensor& drawn, double scale,
                                                  const at::TensorOptions& options) {
  const at::Tensor ones = at::empty_strided(drawn.sizes(), drawn.strides(), options).fill_(1);
  at::Tensor noise = at::empty_like(ones);
  at::Tensor kept = drop(drawn, ones, noise, scale);
  return {std::move(noise), std::move(kept)};
}

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& input, double p) {
  element_type_of(input);  // refuses other dtypes before anything is drawn
  const at::Tensor drawn = drawn_like(input, p);
  const double scale = kept_scale(input.scalar_type(), p);
  if (!is_dense_like(input, drawn)) {
    auto [noise, kept] = noise_and_bits(drawn, scale, input.options());
    return {at::mul(input, noise), std::move(kept)};
  }
  at::Tensor output = at::empty_like(input);
  at::Tensor kept = drop(drawn, input, output, scale);
  return {std::move(output), std::move(kept)};
}

at::Tensor forward_in_place(at::Tensor& self, double p) {
  element_type_of(self);
  const at::Tensor drawn = drawn_like(self, p);
  const double scale = kept_scale(self.scalar_type(), p);
  if (is_dense_like(self, drawn)) return drop(drawn, self, self, scale);
  auto [noise, kept] = noise_and_bits(drawn, scale, self.options());
  self.mul_(noise);
  return kept;
}

at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& kept, at::IntArrayRef strides,
                    double p, bool /*in_place*/) {
  check_kept(grad_output, kept);
  at::Tensor grad_input = at::empty_strided(grad_output.sizes(), strides, grad_output.options());
  if (grad_input.numel() == 0) return grad_input;
  keep(in_memory_order(grad_output, strides), kept.contiguous(),
       kept_scale(grad_output.scalar_type(), p), grad_input);
  return grad_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, CPU, m) {
  m.impl("_dropout_forward", &forward);
  m.impl("_dropout_forward_", &forward_in_place);
  m.impl("_dropout_backward", &backward);
}

}  // namespace invact::kernels
