#include "tests/kernels/math/reference_functions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace invact::testing {
namespace {

constexpr long double kInverseSqrt2 = 1.0L / std::numbers::sqrt2_v<long double>;
constexpr long double kInverseSqrtTwoPi = std::numbers::inv_sqrtpi_v<long double> * kInverseSqrt2;
constexpr long double kTanhScale = 2.0L * kInverseSqrtTwoPi;  // sqrt(2 / pi)
constexpr long double kTanhCubic = 0.044715L;                 // defines approximate='tanh'

long double sigmoid(long double x) {
  return 1.0L / (1.0L + std::exp(-x));
}

long double gelu(long double x) {
  return 0.5L * x * std::erfc(-x * kInverseSqrt2);
}
long double gelu_derivative(long double x) {
  return 0.5L * std::erfc(-x * kInverseSqrt2) + x * kInverseSqrtTwoPi * std::exp(-0.5L * x * x);
}

long double tanh_argument(long double x) {
  return 2.0L * kTanhScale * (x + kTanhCubic * x * x * x);
}
long double gelu_tanh(long double x) {
  return x * sigmoid(tanh_argument(x));
}
long double gelu_tanh_derivative(long double x) {
  const long double u = tanh_argument(x);
  const long double inner = 2.0L * kTanhScale * (1.0L + 3.0L * kTanhCubic * x * x);
  return sigmoid(u) + x * sigmoid(u) * sigmoid(-u) * inner;
}

long double silu(long double x) {
  return x * sigmoid(x);
}
long double silu_derivative(long double x) {
  return sigmoid(x) * (1.0L + x * sigmoid(-x));
}

long double mish(long double x) {
  return x * std::tanh(std::log1p(std::exp(x)));
}
long double mish_derivative(long double x) {
  const long double gate = std::tanh(std::log1p(std::exp(x)));
  return gate + x * (1.0L - gate) * (1.0L + gate) * sigmoid(x);
}

constexpr long double kQuickGeluRate = 1.702L;  // defines the function

long double quick_gelu(long double x) {
  return x * sigmoid(kQuickGeluRate * x);
}
long double quick_gelu_derivative(long double x) {
  return silu_derivative(kQuickGeluRate * x);
}

long double hardswish(long double x) {
  if (x <= -3) return -0.0L;
  return x < 3 ? x * (x + 3) / 6 : x;
}
long double hardswish_derivative(long double x) {
  if (x <= -3) return 0;
  return x < 3 ? x / 3 + 0.5L : 1;
}

// The parameters of ELU, CELU and Leaky ReLU under test: ATen's defaults, and others that could be
// mixed up with each other.
constexpr long double kAlpha = 0.75L;
constexpr long double kScale = 1.5L;
constexpr long double kInputScale = 0.5L;

long double elu_of(long double x, long double alpha, long double scale, long double input_scale) {
  return x > 0 ? scale * x : scale * alpha * std::expm1(input_scale * x);
}
long double elu_derivative_of(long double x, long double alpha, long double scale,
                              long double input_scale) {
  return x > 0 ? scale : scale * alpha * input_scale * std::exp(input_scale * x);
}
long double elu(long double x) {
  return elu_of(x, 1, 1, 1);
}
long double elu_derivative(long double x) {
  return elu_derivative_of(x, 1, 1, 1);
}
long double elu_derivative_from_value(long double y) {
  return y > 0 ? 1 : y + 1;
}
long double scaled_elu(long double x) {
  return elu_of(x, kAlpha, kScale, kInputScale);
}
long double scaled_elu_derivative(long double x) {
  return elu_derivative_of(x, kAlpha, kScale, kInputScale);
}
long double scaled_elu_derivative_from_value(long double y) {
  return y > 0 ? kScale : kInputScale * (y + kScale * kAlpha);
}
long double celu(long double x) {
  return elu_of(x, kAlpha, 1, 1 / kAlpha);
}
long double celu_derivative(long double x) {
  return elu_derivative_of(x, kAlpha, 1, 1 / kAlpha);
}
long double celu_derivative_from_value(long double y) {
  return y > 0 ? 1 : y / kAlpha + 1;
}
// Klambauer et al., arXiv 1706.02515, section 2: double, as ATen has them.
constexpr long double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr long double kSeluScale = 1.0507009873554804934193349852946;
long double selu(long double x) {
  return elu_of(x, kSeluAlpha, kSeluScale, 1);
}
long double selu_derivative(long double x) {
  return elu_derivative_of(x, kSeluAlpha, kSeluScale, 1);
}
long double selu_derivative_from_value(long double y) {
  return y > 0 ? kSeluScale : y + kSeluScale * kSeluAlpha;
}

long double softplus(long double x) {
  return x > 20 ? x : std::log1p(std::exp(x));
}
long double softplus_derivative(long double x) {
  return x > 20 ? 1 : sigmoid(x);
}
long double softplus_derivative_from_value(long double y) {
  return -std::expm1(-y);
}
long double log_sigmoid(long double x) {
  return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x));
}
long double log_sigmoid_derivative(long double x) {
  return sigmoid(-x);
}
long double log_sigmoid_derivative_from_value(long double y) {
  return -std::expm1(y);
}

long double softsign(long double x) {
  return x / (1 + std::abs(x));
}
long double softsign_derivative(long double x) {
  return 1 / ((1 + std::abs(x)) * (1 + std::abs(x)));
}
long double softsign_derivative_from_value(long double y) {
  return (1 - std::abs(y)) * (1 - std::abs(y));
}

long double squared_relu(long double x) {
  return x > 0 ? x * x : 0;
}
long double squared_relu_derivative(long double x) {
  return x > 0 ? 2 * x : 0;
}
long double squared_relu_derivative_from_value(long double y) {
  return y > 0 ? 2 * std::sqrt(y) : 0;
}

constexpr long double kNegativeSlope = 0.01;  // ATen's default, a double
long double leaky_relu(long double x) {
  return x > 0 ? x : kNegativeSlope * x;
}
long double leaky_relu_derivative(long double x) {
  return x > 0 ? 1 : kNegativeSlope;
}

long double hardsigmoid(long double x) {
  return std::clamp((x + 3) / 6, 0.0L, 1.0L);
}
long double hardsigmoid_derivative(long double x) {
  return x > -3 && x < 3 ? 1.0L / 6 : 0;
}
long double hardsigmoid_derivative_from_value(long double y) {
  return y > 0 && y < 1 ? 1.0L / 6 : 0;
}

long double hardtanh(long double x) {
  return std::clamp(x, -1.0L, 1.0L);
}
long double hardtanh_derivative(long double x) {
  return x > -1 && x < 1 ? 1 : 0;
}

long double relu6(long double x) {
  return std::clamp(x, 0.0L, 6.0L);
}
long double relu6_derivative(long double x) {
  return x > 0 && x < 6 ? 1 : 0;
}

}  // namespace

const std::vector<Reference>& references() {
  using namespace kernels::math;
  static const std::vector<Reference> all = {
      {"Gelu", Gelu{}, gelu, gelu_derivative, -0.751791524693564457L, -0.1289, 1.1289, 0.80},
      {"ErfGelu", ErfGelu{}, gelu, gelu_derivative, -0.751791524693564457L, -0.1289, 1.1289, 0.80},
      {"GeluTanh", GeluTanh{}, gelu_tanh, gelu_tanh_derivative, -0.752461422071016258L, -0.1290,
       1.1290, 0.80},
      {"Silu", Silu{}, silu, silu_derivative, -1.278464542761073795L, -0.0998, 1.0998, 0.50},
      {"Mish", Mish{}, mish, mish_derivative, -1.19243121451549521L, -0.1125, 1.0885, 0.65},
      {"QuickGelu", QuickGelu{}, quick_gelu, quick_gelu_derivative, -0.751154255441288951L, -0.0998,
       1.0998, 0.86},
      {"Hardswish", Hardswish{}, hardswish, hardswish_derivative, -1.5L, -0.5, 1.5, 0.34},
  };
  return all;
}

const std::vector<ClosedReference>& closed_references() {
  using namespace kernels::math;
  static const std::vector<ClosedReference> all = {
      {"Elu", Elu{1, 1, 1}, elu, elu_derivative, elu_derivative_from_value, {}},
      {"ScaledElu",
       Elu{kAlpha, kScale, kInputScale},
       scaled_elu,
       scaled_elu_derivative,
       scaled_elu_derivative_from_value,
       {0}},
      {"Celu", kernels::math::celu(kAlpha), celu, celu_derivative, celu_derivative_from_value, {}},
      {"Selu", kernels::math::selu(), selu, selu_derivative, selu_derivative_from_value, {0}},
      {"Softplus",
       Softplus{1, 20},
       softplus,
       softplus_derivative,
       softplus_derivative_from_value,
       {20}},
      {"LogSigmoid",
       LogSigmoid{},
       log_sigmoid,
       log_sigmoid_derivative,
       log_sigmoid_derivative_from_value,
       {}},
      {"Softsign", Softsign{}, softsign, softsign_derivative, softsign_derivative_from_value, {}},
      {"LeakyRelu", LeakyRelu{0.01}, leaky_relu, leaky_relu_derivative, leaky_relu_derivative, {0}},
      {"Hardsigmoid",
       Hardsigmoid{},
       hardsigmoid,
       hardsigmoid_derivative,
       hardsigmoid_derivative_from_value,
       {-3, 3}},
      {"Hardtanh", Hardtanh{-1, 1}, hardtanh, hardtanh_derivative, hardtanh_derivative, {-1, 1}},
      {"Relu6", Hardtanh{0, 6}, relu6, relu6_derivative, relu6_derivative, {0, 6}},
      {"SquaredRelu",
       SquaredRelu{},
       squared_relu,
       squared_relu_derivative,
       squared_relu_derivative_from_value,
       {}},
  };
  return all;
}

}  // namespace invact::testing
