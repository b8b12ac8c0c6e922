#include "kernels/activation/aten_forward.h"

#include <c10/util/Exception.h>

#include <variant>

#include "kernels/activation/activation_function.h"
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

at::Tensor aten_forward(const ActivationFunction& function, const at::Tensor& self) {
  return std::visit(Forward{self}, function);
}

void aten_forward_out(const ActivationFunction& function, const at::Tensor& self,
                      at::Tensor& output) {
  std::visit(ForwardOut{self, output}, function);
}

}  // namespace invact::kernels
