#include "kernels/dropout/dropout_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/dropout.h>
#include <c10/util/Exception.h>

namespace invact::kernels {
namespace {

template <class Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Otherwise ATen's operator returns its input, multiplies by zero, or refuses p, and saves nothing
/// that counts.
bool draws(const at::Tensor& input, double p, bool train) {
  return train && p > 0 && p < 1 && input.sym_numel() > 0 && input.is_floating_point();
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> dropout_forward(const at::Tensor& input, double p) {
  static const auto handle = find<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, double)>(
      "invact::_dropout_forward");
  return handle.call(input, p);
}

at::Tensor dropout_forward_(at::Tensor& self, double p) {
  static const auto handle = find<at::Tensor(at::Tensor&, double)>("invact::_dropout_forward_");
  return handle.call(self, p);
}

at::Tensor dropout_backward(const at::Tensor& grad_output, const at::Tensor& kept,
                            c10::SymIntArrayRef strides, double p, bool in_place) {
  static const auto handle =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymIntArrayRef, double, bool)>(
          "invact::_dropout_backward");
  return handle.call(grad_output, kept, strides, p, in_place);
}

void check_kept(const at::Tensor& grad_output, const at::Tensor& kept) {
  TORCH_CHECK(kept.scalar_type() == at::kByte && kept.numel() == (grad_output.numel() + 7) / 8,
              "invact: ", kept.numel(), " bytes of dropout bits for ", grad_output.numel(),
              " elements");
  TORCH_CHECK(kept.device() == grad_output.device(),
              "invact: gradient and dropout bits lie on different devices");
}

at::Tensor dropout(const at::Tensor& input, double p, bool train) {
  static const auto handle = find<at::Tensor(const at::Tensor&, double)>("invact::_dropout");
  return draws(input, p, train) ? handle.call(input, p) : at::dropout(input, p, train);
}

at::Tensor& dropout_(at::Tensor& self, double p, bool train) {
  static const auto handle = find<at::Tensor&(at::Tensor&, double)>("invact::_dropout_");
  return draws(self, p, train) ? handle.call(self, p) : at::dropout_(self, p, train);
}

}  // namespace invact::kernels
