#include "kernels/norm/norm_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace invact::kernels {
namespace {

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

}  // namespace

NormGradients norm_backward(const at::Tensor& grad_output, const at::Tensor& output,
                            const at::Tensor& rstd, const NormParameters& parameters,
                            bool is_centered, std::array<bool, 3> output_mask) {
  using Signature = NormGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                  const std::optional<at::Tensor>&,
                                  const std::optional<at::Tensor>&, bool, std::array<bool, 3>);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_norm_backward", "")
                                 .typed<Signature>();
  return handle.call(grad_output, output, rstd, optional(parameters.weight),
                     optional(parameters.bias), is_centered, output_mask);
}

bool norm_recoverable(const NormParameters& parameters, double weight_offset,
                      at::ScalarType dtype) {
  if (!parameters.weight.defined() && !parameters.bias.defined()) return true;
  using Signature = bool(const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, double,
                         at::ScalarType);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_norm_recoverable", "")
                                 .typed<Signature>();
  return handle.call(optional(parameters.weight), optional(parameters.bias), weight_offset, dtype);
}

}  // namespace invact::kernels
