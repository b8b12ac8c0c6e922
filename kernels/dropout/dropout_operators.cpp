#include "kernels/dropout/dropout_operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/dropout.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>
#include <c10/util/Half.h>

#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace invact::kernels {
namespace {

template <class Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Whether a call drops some elements and keeps others. Otherwise ATen's operator returns its
/// input, multiplies by zero, or refuses p, and saves nothing that counts.
bool draws(const at::Tensor& input, double p, bool train) {
  return train && p > 0 && p < 1 && input.sym_numel() > 0 && input.is_floating_point();
}

/// `value` as a number of the dtype, for dtypes that compute in float; of double, itself.
double rounded(double value, c10::ScalarType dtype) {
  if (dtype == c10::kDouble) return value;
  const auto single = static_cast<float>(value);
  if (dtype == c10::kBFloat16) return static_cast<float>(c10::BFloat16(single));
  if (dtype == c10::kHalf) return static_cast<float>(c10::Half(single));
  return single;
}

/// What dropout makes of the output of a kept element: the product in the type that the dtype
/// computes in.
double scaled(double output, double scale, c10::ScalarType dtype) {
  const double y = rounded(output, dtype);
  if (dtype == c10::kDouble) return y * scale;
  return rounded(static_cast<float>(y) * static_cast<float>(scale), dtype);
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

double dropout_scale(c10::DeviceType device, c10::ScalarType dtype, double p) {
  if (dtype == c10::kDouble) return 1 / (1 - p);
  // ATen's native_dropout gives its kernel a double; the CPU divides ones of the dtype.
  if (device == c10::kCUDA) return static_cast<float>(1 / (1 - p));
  return rounded(1 / static_cast<float>(1 - p), dtype);
}

at::Tensor dropout(const at::Tensor& input, double p, bool train) {
  static const auto handle = find<at::Tensor(const at::Tensor&, double)>("invact::_dropout");
  return draws(input, p, train) ? handle.call(input, p) : at::dropout(input, p, train);
}

at::Tensor& dropout_(at::Tensor& self, double p, bool train) {
  static const auto handle = find<at::Tensor&(at::Tensor&, double)>("invact::_dropout_");
  return draws(self, p, train) ? handle.call(self, p) : at::dropout_(self, p, train);
}

at::Tensor activation_dropped_bits(const at::Tensor& self, const at::Tensor& dropped,
                                   const at::Tensor& kept, double p,
                                   const ActivationFunction& function) {
  using Signature =
      at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, double, std::string_view);
  static const auto handle = find<Signature>("invact::_activation_dropped_bits");
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
  static const auto handle = find<Signature>("invact::_activation_dropped_backward");
  const std::vector<double> parameters = function_parameters(function);
  return handle.call(grad_output, dropped, kept, branch, strides, p, function_name(function),
                     parameters);
}

Recovery recovery(const ActivationFunction& function, c10::DeviceType device, c10::ScalarType dtype,
                  double p) {
  const double scale = dropout_scale(device, dtype, p);
  const auto of = [&]<class F>(const F& f) -> Recovery {
    if constexpr (std::is_same_v<F, math::Hardtanh>) {
      return {1.0, math::Hardtanh{scaled(f.min, scale, dtype), scaled(f.max, scale, dtype)}};
    } else if constexpr (std::is_same_v<F, math::Hardsigmoid>) {
      return {scaled(1.0, scale, dtype), f};
    } else {
      return {scale, f};
    }
  };
  return std::visit(of, function);
}

}  // namespace invact::kernels
