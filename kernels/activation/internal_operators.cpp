#include "kernels/activation/internal_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/Exception.h>

#include <string_view>
#include <variant>
#include <vector>

#include "kernels/activation/operators.h"

namespace invact::kernels {
namespace {

struct Forward {
  const at::Tensor& self;

  at::Tensor operator()(const math::Gelu&) const { return GeluOperator::aten(self, "none"); }
  at::Tensor operator()(const math::GeluTanh&) const { return GeluOperator::aten(self, "tanh"); }
  at::Tensor operator()(const math::Silu&) const { return SiluOperator::aten(self); }
  at::Tensor operator()(const math::Mish&) const { return MishOperator::aten(self); }
  at::Tensor operator()(const math::ErfGelu&) const { return ErfGeluOperator::aten(self); }
  at::Tensor operator()(const math::QuickGelu&) const { return QuickGeluOperator::aten(self); }
  at::Tensor operator()(const math::Hardswish&) const { return HardswishOperator::aten(self); }
  template <class Function>
  at::Tensor operator()(const Function&) const {
    TORCH_CHECK(false, "invact: function '", Function::kName, "' has no branch bit");
  }
};

struct ForwardOut {
  const at::Tensor& self;
  at::Tensor& output;

  void operator()(const math::Gelu&) const { at::gelu_out(output, self, "none"); }
  void operator()(const math::GeluTanh&) const { at::gelu_out(output, self, "tanh"); }
  void operator()(const math::Silu&) const { at::silu_out(output, self); }
  void operator()(const math::Mish&) const { at::mish_out(output, self); }
  void operator()(const math::Hardswish&) const { at::hardswish_out(output, self); }
  // Those whose forward is an expression, and with it the error of functions without bits.
  template <class Function>
  void operator()(const Function& function) const {
    output.copy_(Forward{self}(function));
  }
};

}  // namespace

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

at::Tensor aten_forward(const ActivationFunction& function, const at::Tensor& self) {
  return std::visit(Forward{self}, function);
}

void aten_forward_out(const ActivationFunction& function, const at::Tensor& self,
                      at::Tensor& output) {
  std::visit(ForwardOut{self, output}, function);
}

}  // namespace invact::kernels
