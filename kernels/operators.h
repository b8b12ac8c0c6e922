// One description per operator, from which its kernels on every device, its autograd and its schema
// checks are instantiated: name, parameters behind `self`, ATen's own operator, and the function
// that the parameters select. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>

#include <string>
#include <string_view>
#include <tuple>

#include "kernels/math/functions.h"

namespace invact::kernels {

template <class... P>
struct Parameters {};

struct GeluOperator {
  static constexpr const char* kName = "gelu";
  using ParameterTypes = Parameters<std::string_view>;
  static at::Tensor aten(const at::Tensor& self, std::string_view approximate) {
    return at::gelu(self, approximate);
  }
  static at::Tensor& aten_(at::Tensor& self, std::string_view approximate) {
    return at::gelu_(self, approximate);
  }
  // Called after ATen's operator, which has refused every other value.
  static ActivationFunction function(std::string_view approximate) {
    if (approximate == "tanh") return math::GeluTanh{};
    return math::Gelu{};
  }
};

struct SiluOperator {
  static constexpr const char* kName = "silu";
  using ParameterTypes = Parameters<>;
  static at::Tensor aten(const at::Tensor& self) { return at::silu(self); }
  static at::Tensor& aten_(at::Tensor& self) { return at::silu_(self); }
  static ActivationFunction function() { return math::Silu{}; }
};

/// Expands `X(Operator)` for every operator.
#define INVACT_FOR_EACH_OPERATOR(X) X(GeluOperator) X(SiluOperator)

/// The dispatcher's handle of `invact::<name>`, looked up once per Signature and operator by the
/// caller's static.
template <class Signature>
c10::TypedOperatorHandle<Signature> find_operator(const std::string& name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(("invact::" + name).c_str(), "")
      .typed<Signature>();
}

/// The internal operators beside the public one; each device and Meta registers kernels for them
/// (elementwise.h, meta.cpp).
template <class Operator, class = typename Operator::ParameterTypes>
struct InternalOperators;

template <class Operator, class... P>
struct InternalOperators<Operator, Parameters<P...>> {
  static std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, P... parameters) {
    static const auto handle =
        find_operator<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, P...)>(
            std::string("_") + Operator::kName + "_forward");
    return handle.call(self, parameters...);
  }
  static at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& output,
                             const at::Tensor& branch, c10::SymIntArrayRef strides,
                             P... parameters) {
    static const auto handle = find_operator<at::Tensor(
        const at::Tensor&, const at::Tensor&, const at::Tensor&, c10::SymIntArrayRef, P...)>(
        std::string("_") + Operator::kName + "_backward");
    return handle.call(grad_output, output, branch, strides, parameters...);
  }
};

}  // namespace invact::kernels
