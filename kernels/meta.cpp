// Shapes, strides and dtypes without data, for FakeTensor and torch.compile; sizes may be symbolic.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <string_view>
#include <tuple>

#include "kernels/activation/device_kernels.h"
#include "kernels/norm/norm_operators.h"

namespace invact::kernels {
namespace {

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, std::string_view name) {
  const ActivationFunction function = checked_function(name);
  at::Tensor output = aten_forward(function, self);
  at::Tensor branch = at::empty_symint({branch_byte_count(function, output.sym_numel())},
                                       output.options().dtype(at::kByte));
  return {std::move(output), std::move(branch)};
}

at::Tensor backward(const at::Tensor&, const at::Tensor& output, const std::optional<at::Tensor>&,
                    c10::SymIntArrayRef strides, std::string_view, at::ArrayRef<double>) {
  return at::empty_strided_symint(output.sym_sizes(), strides, output.options());
}

NormGradients norm_gradients(const at::Tensor&, const at::Tensor& output, const at::Tensor&,
                             const std::optional<at::Tensor>& weight,
                             const std::optional<at::Tensor>& bias, bool,
                             std::array<bool, 3> mask) {
  const auto like = [](const at::Tensor& tensor) {
    return at::empty_symint(tensor.sym_sizes(), tensor.options());
  };
  return {mask[0] ? like(output) : at::Tensor(), mask[1] ? like(*weight) : at::Tensor(),
          mask[2] ? like(*bias) : at::Tensor()};
}

/// Nothing is known of their values, and saving the input is always right.
bool never_recoverable(const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, double,
                       at::ScalarType) {
  return false;
}

at::Tensor dropout_bits(const at::Tensor& input) {
  return at::empty_symint({(input.sym_numel() + 7) / 8}, input.options().dtype(at::kByte));
}

std::tuple<at::Tensor, at::Tensor> dropout(const at::Tensor& input, double) {
  return {at::empty_like(input), dropout_bits(input)};
}

at::Tensor dropout_in_place(at::Tensor& self, double) {
  return dropout_bits(self);
}

at::Tensor dropout_gradient(const at::Tensor& grad_output, const at::Tensor&,
                            c10::SymIntArrayRef strides, double, bool) {
  return at::empty_strided_symint(grad_output.sym_sizes(), strides, grad_output.options());
}

at::Tensor dropped_bits(const at::Tensor&, const at::Tensor& dropped, const at::Tensor&, double,
                        std::string_view name) {
  return at::empty_symint({branch_byte_count(checked_function(name), dropped.sym_numel())},
                          dropped.options().dtype(at::kByte));
}

at::Tensor dropped_backward(const at::Tensor&, const at::Tensor& dropped, const at::Tensor&,
                            const std::optional<at::Tensor>&, c10::SymIntArrayRef strides, double,
                            std::string_view, at::ArrayRef<double>) {
  return at::empty_strided_symint(dropped.sym_sizes(), strides, dropped.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Meta, m) {
  m.impl("_activation_forward", &forward);
  m.impl("_activation_backward", &backward);
  m.impl("_dropout_forward", &dropout);
  m.impl("_dropout_forward_", &dropout_in_place);
  m.impl("_dropout_backward", &dropout_gradient);
  m.impl("_activation_dropped_bits", &dropped_bits);
  m.impl("_activation_dropped_backward", &dropped_backward);
  m.impl("_norm_backward", &norm_gradients);
  m.impl("_norm_recoverable", &never_recoverable);
}

}  // namespace invact::kernels
