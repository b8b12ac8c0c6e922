#include "kernels/dropout/activation_dropout_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <c10/util/ArrayRef.h>
#include <torch/library.h>

#include <string_view>
#include <vector>

#include "kernels/activation/device_kernels.h"

namespace invact::kernels {

at::Tensor activation_dropped_bits(const at::Tensor& self, const at::Tensor& dropped,
                                   const at::Tensor& kept, double p,
                                   const ActivationFunction& function) {
  using Signature =
      at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, double, std::string_view);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_activation_dropped_bits", "")
                                 .typed<Signature>();
  return handle.call(self, dropped, kept, p, function_name(function));
}

at::Tensor activation_dropped_backward(const at::Tensor& grad_output, const at::Tensor& dropped,
                                       const at::Tensor& kept,
                                       const std::optional<at::Tensor>& branch,
                                       c10::SymIntArrayRef strides, double p,
                                       const ActivationFunction& function) {
  using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                               const std::optional<at::Tensor>&, c10::SymIntArrayRef, double,
                               std::string_view, c10::ArrayRef<double>);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_activation_dropped_backward", "")
                                 .typed<Signature>();
  const std::vector<double> parameters = function_parameters(function);
  return handle.call(grad_output, dropped, kept, branch, strides, p, function_name(function),
                     parameters);
}

namespace {

at::Tensor meta_bits(const at::Tensor&, const at::Tensor& dropped, const at::Tensor&, double,
                     std::string_view name) {
  return at::empty_symint({branch_byte_count(checked_function(name), dropped.sym_numel())},
                          dropped.options().dtype(at::kByte));
}

at::Tensor meta_backward(const at::Tensor&, const at::Tensor& dropped, const at::Tensor&,
                         const std::optional<at::Tensor>&, c10::SymIntArrayRef strides, double,
                         std::string_view, at::ArrayRef<double>) {
  return at::empty_strided_symint(dropped.sym_sizes(), strides, dropped.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Meta, m) {
  m.impl("_activation_dropped_bits", &meta_bits);
  m.impl("_activation_dropped_backward", &meta_backward);
}

}  // namespace invact::kernels
