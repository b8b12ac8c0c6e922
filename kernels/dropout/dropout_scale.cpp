#include "kernels/dropout/dropout_scale.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <type_traits>
#include <variant>

namespace invact::kernels {
namespace {

/// `value` as a number of the dtype, for dtypes that compute in float; of double, itself.
double rounded(double value, c10::ScalarType dtype) {
  if (dtype == c10::kDouble) return value;
  const auto single = static_cast<float>(value);
  if (dtype == c10::kBFloat16) return static_cast<float>(c10::BFloat16(single));
  if (dtype == c10::kHalf) return static_cast<float>(c10::Half(single));
  return single;
}

/// What dropout makes of an output, kept: the product in the type that the dtype computes in.
double scaled(double output, double scale, c10::ScalarType dtype) {
  const double y = rounded(output, dtype);
  if (dtype == c10::kDouble) return y * scale;
  return rounded(static_cast<float>(y) * static_cast<float>(scale), dtype);
}

}  // namespace

double dropout_scale(c10::DeviceType device, c10::ScalarType dtype, double p) {
  if (dtype == c10::kDouble) return 1 / (1 - p);
  // ATen's native_dropout gives its kernel a double; the CPU divides ones of the dtype.
  if (device == c10::kCUDA) return static_cast<float>(1 / (1 - p));
  return rounded(1 / static_cast<float>(1 - p), dtype);
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
