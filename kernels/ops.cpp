// Every schema of the `invact` namespace, and the public C++ functions. Schemas are for ever: saved
// models name them.
#include "kernels/ops.h"

#include <torch/library.h>

#include <string>

#include "kernels/operators.h"

namespace invact {
namespace kernels {
namespace {

/// The public operator, its in-place form, and the two internal operators that stand below
/// autograd. `parameters` follows `self` in ATen's schema, with its leading comma.
void define_activation(torch::Library& m, const std::string& name, const std::string& parameters) {
  const auto def = [&](const std::string& schema) { m.def(schema.c_str()); };
  def(name + "(Tensor self" + parameters + ") -> Tensor");
  def(name + "_(Tensor(a!) self" + parameters + ") -> Tensor(a!)");
  // Branch bits: uint8, ceil(n / 8) bytes, element i of the output's memory order in bit i % 8 of
  // byte i / 8.
  def("_" + name + "_forward(Tensor self" + parameters + ") -> (Tensor output, Tensor branch)");
  // `strides` are those the bits were packed by; `output` and `grad_output` may have come back with
  // others.
  def("_" + name + "_backward(Tensor grad_output, Tensor output, Tensor branch, SymInt[] strides" +
      parameters + ") -> Tensor");
}

/// Inference mode has no autograd keys: the operators are ATen's own there.
template <class Operator>
void register_inference(torch::Library& m) {
  m.impl(Operator::kName, &Operator::aten);
  m.impl((std::string(Operator::kName) + "_").c_str(), &Operator::aten_);
}

}  // namespace

TORCH_LIBRARY(invact, m) {
  define_activation(m, "gelu", ", *, str approximate='none'");
  define_activation(m, "silu", "");
}

TORCH_LIBRARY_IMPL(invact, CompositeExplicitAutograd, m) {
#define INVACT_REGISTER(Operator) register_inference<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

}  // namespace kernels

at::Tensor gelu(const at::Tensor& self, std::string_view approximate) {
  static const auto handle =
      kernels::find_operator<at::Tensor(const at::Tensor&, std::string_view)>("gelu");
  return handle.call(self, approximate);
}

at::Tensor& gelu_(at::Tensor& self, std::string_view approximate) {
  static const auto handle =
      kernels::find_operator<at::Tensor&(at::Tensor&, std::string_view)>("gelu_");
  return handle.call(self, approximate);
}

at::Tensor silu(const at::Tensor& self) {
  static const auto handle = kernels::find_operator<at::Tensor(const at::Tensor&)>("silu");
  return handle.call(self);
}

at::Tensor& silu_(at::Tensor& self) {
  static const auto handle = kernels::find_operator<at::Tensor&(at::Tensor&)>("silu_");
  return handle.call(self);
}

}  // namespace invact
