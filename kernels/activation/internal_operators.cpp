#include "kernels/activation/internal_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/ArrayRef.h>

#include <string_view>
#include <vector>

namespace invact::kernels {

std::tuple<at::Tensor, at::Tensor> activation_forward(const at::Tensor& self,
                                                      const ActivationFunction& function) {
  using Signature = std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, std::string_view);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_activation_forward", "")
                                 .typed<Signature>();
  return handle.call(self, function_name(function));
}

at::Tensor activation_backward(const at::Tensor& grad_output, const at::Tensor& output,
                               const std::optional<at::Tensor>& branch, c10::SymIntArrayRef strides,
                               const ActivationFunction& function) {
  using Signature =
      at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                 c10::SymIntArrayRef, std::string_view, c10::ArrayRef<double>);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_activation_backward", "")
                                 .typed<Signature>();
  const std::vector<double> parameters = function_parameters(function);
  return handle.call(grad_output, output, branch, strides, function_name(function), parameters);
}

}  // namespace invact::kernels
