// The rows of catalog.h. Bounds are for correctly rounded outputs, measured on the CPU by
// CatalogStatesTheMeasuredBound of tests/kernels/activation/derivative_test.cpp and
// closed_form_test.cpp, over every 16-bit input and over float32 and float64 inputs that crowd the
// minimum, and rounded up. What ATen's own output adds in float32: own_forward_test.cpp. What ATen
// saves for each of them, and for those that need nothing: saved_by_aten_test.cpp.
#include "kernels/catalog.h"

#include <algorithm>

#include "kernels/math/elu.h"
#include "kernels/math/norm_recovery.h"
#include "kernels/math/piecewise_linear.h"
#include "kernels/math/softplus.h"

namespace invact::kernels {
namespace {

constexpr std::string_view kOutput = "output";
constexpr std::string_view kClosed = "closed";

constexpr DerivativeErrorBound kGelu{2.0e-9, 4.8e-5, 1.1e-2, 4.9e-3};
constexpr DerivativeErrorBound kGeluTanh{2.4e-9, 5.2e-5, 1.1e-2, 3.8e-3};
constexpr DerivativeErrorBound kSilu{1.7e-9, 5.7e-5, 1.2e-2, 4.1e-3};
constexpr DerivativeErrorBound kMish{3.9e-9, 7.0e-5, 1.3e-2, 4.3e-3};
constexpr DerivativeErrorBound kQuickGelu{2.9e-9, 3.6e-5, 1.2e-2, 4.3e-3};
constexpr DerivativeErrorBound kHardswish{2.2e-9, 5.0e-5, 1.3e-2, 4.6e-3};
constexpr DerivativeErrorBound kElu{1.2e-16, 4.5e-8, 2.0e-3, 2.5e-4};
constexpr DerivativeErrorBound kSelu{2.3e-16, 1.2e-7, 3.9e-3, 4.9e-4};
constexpr DerivativeErrorBound kSoftplus{2.1e-9, 6.4e-8, 1.4e-3, 1.8e-4};
constexpr DerivativeErrorBound kLogSigmoid{1.2e-16, 6.4e-8, 1.4e-3, 1.8e-4};
constexpr DerivativeErrorBound kSoftsign{2.3e-16, 9.6e-8, 2.0e-3, 2.5e-4};
// Exact but where the square is no normal number: at its worst where it is 0, x < 1.7e-4 in
// float16. What overflows is apart (math/squared_relu.h).
constexpr DerivativeErrorBound kSquaredRelu{3.2e-162, 5.3e-23, 1.4e-20, 3.5e-4};
constexpr DerivativeErrorBound kHardsigmoid{0, 5.0e-9, 5.0e-9, 5.0e-9};
// 0.01, ATen's default negative_slope, as a float.
constexpr DerivativeErrorBound kLeakyRelu{0, 2.3e-10, 2.3e-10, 2.3e-10};
constexpr DerivativeErrorBound kExact{0, 0, 0, 0};

using Values = std::span<const double>;

bool elu_is_invertible(Values v) {
  return math::Elu{v[0], v[1], v[2]}.is_invertible();
}
bool celu_is_invertible(Values v) {
  return math::celu(v[0]).is_invertible();
}
bool softplus_is_invertible(Values v) {
  return math::Softplus{v[0], v[1]}.is_invertible();
}
bool leaky_relu_is_invertible(Values v) {
  return math::LeakyRelu{v[0]}.is_invertible();
}
bool hardtanh_is_invertible(Values v) {
  return math::Hardtanh{v[0], v[1]}.is_invertible();
}

// ATen's elu_, celu_, selu_ and leaky_relu_ save their output: no rows.
constexpr Activation kActivations[] = {
    // clang-format off
    {"aten::gelu",         "invact::gelu",         "none", false, kOutput, 1, kGelu,        nullptr},
    {"aten::gelu",         "invact::gelu",         "tanh", false, kOutput, 1, kGeluTanh,    nullptr},
    {"aten::gelu_",        "invact::gelu_",        "none", true,  kOutput, 1, kGelu,        nullptr},
    {"aten::gelu_",        "invact::gelu_",        "tanh", true,  kOutput, 1, kGeluTanh,    nullptr},
    {"aten::silu",         "invact::silu",         "",     false, kOutput, 1, kSilu,        nullptr},
    {"aten::silu_",        "invact::silu_",        "",     true,  kOutput, 1, kSilu,        nullptr},
    {"aten::mish",         "invact::mish",         "",     false, kOutput, 1, kMish,        nullptr},
    {"aten::mish_",        "invact::mish_",        "",     true,  kOutput, 1, kMish,        nullptr},
    {"aten::hardswish",    "invact::hardswish",    "",     false, kOutput, 1, kHardswish,   nullptr},
    {"aten::hardswish_",   "invact::hardswish_",   "",     true,  kOutput, 1, kHardswish,   nullptr},
    {"aten::elu",          "invact::elu",          "",     false, kClosed, 0, kElu,         &elu_is_invertible},
    {"aten::celu",         "invact::celu",         "",     false, kClosed, 0, kElu,         &celu_is_invertible},
    {"aten::selu",         "invact::selu",         "",     false, kClosed, 0, kSelu,        nullptr},
    {"aten::softplus",     "invact::softplus",     "",     false, kClosed, 0, kSoftplus,    &softplus_is_invertible},
    {"aten::log_sigmoid",  "invact::log_sigmoid",  "",     false, kClosed, 0, kLogSigmoid,  nullptr},
    {"aten::leaky_relu",   "invact::leaky_relu",   "",     false, kClosed, 0, kLeakyRelu,   &leaky_relu_is_invertible},
    {"aten::hardsigmoid",  "invact::hardsigmoid",  "",     false, kClosed, 0, kHardsigmoid, nullptr},
    {"aten::hardsigmoid_", "invact::hardsigmoid_", "",     true,  kClosed, 0, kHardsigmoid, nullptr},
    {"aten::hardtanh",     "invact::hardtanh",     "",     false, kClosed, 0, kExact,       &hardtanh_is_invertible},
    {"aten::hardtanh_",    "invact::hardtanh_",    "",     true,  kClosed, 0, kExact,       &hardtanh_is_invertible},
    {"aten::relu6",        "invact::relu6",        "",     false, kClosed, 0, kExact,       nullptr},
    {"aten::relu6_",       "invact::relu6_",       "",     true,  kClosed, 0, kExact,       nullptr},
    // clang-format on
};

constexpr Activation kWrittenOut[] = {
    {"", "invact::erf_gelu", "", false, kOutput, 1, kGelu, nullptr},
    {"", "invact::quick_gelu", "", false, kOutput, 1, kQuickGelu, nullptr},
    {"", "invact::softsign", "", false, kClosed, 0, kSoftsign, nullptr},
    {"", "invact::squared_relu", "", false, kClosed, 0, kSquaredRelu, nullptr},
};

constexpr Norm kNorms[] = {
    {"aten::layer_norm", "invact::layer_norm", true},
    {"aten::rms_norm", "invact::rms_norm", false},
    {"", "invact::rms_norm_cast", false},
    {"aten::batch_norm", "invact::batch_norm", true, /*is_per_channel=*/true},
};

constexpr Dropout kDropouts[] = {
    {"aten::dropout", "invact::dropout", false},
    {"aten::dropout_", "invact::dropout_", true},
};

constexpr ActivationDropout kActivationDropouts[] = {
    {"invact::gelu", "invact::gelu_dropout"},
    {"invact::silu", "invact::silu_dropout"},
    {"invact::mish", "invact::mish_dropout"},
    {"invact::hardswish", "invact::hardswish_dropout"},
    {"invact::erf_gelu", "invact::erf_gelu_dropout"},
    {"invact::quick_gelu", "invact::quick_gelu_dropout"},
    {"invact::elu", "invact::elu_dropout"},
    {"invact::celu", "invact::celu_dropout"},
    {"invact::selu", "invact::selu_dropout"},
    {"invact::softplus", "invact::softplus_dropout"},
    {"invact::log_sigmoid", "invact::log_sigmoid_dropout"},
    {"invact::softsign", "invact::softsign_dropout"},
    {"invact::leaky_relu", "invact::leaky_relu_dropout"},
    {"invact::hardsigmoid", "invact::hardsigmoid_dropout"},
    {"invact::hardtanh", "invact::hardtanh_dropout"},
    {"invact::relu6", "invact::relu6_dropout"},
    {"invact::squared_relu", "invact::squared_relu_dropout"},
};

constexpr std::string_view kOutputSaving[] = {
    "aten::relu",  "aten::relu_", "aten::sigmoid", "aten::sigmoid_", "aten::tanh",
    "aten::tanh_", "aten::elu_",  "aten::celu_",   "aten::selu_",    "aten::leaky_relu_",
};

}  // namespace

std::span<const Activation> activations() {
  return kActivations;
}

std::span<const Activation> written_out_activations() {
  return kWrittenOut;
}

std::span<const std::string_view> output_saving_activations() {
  return kOutputSaving;
}

std::span<const Norm> norms() {
  return kNorms;
}

RecoveryRatios recovery_ratios() {
  const auto ratio = [](const auto& limits) { return double{limits.limit / limits.rounding}; };
  return {ratio(math::kFloat64Recovery), ratio(math::kFloat32Recovery),
          ratio(math::kBFloat16Recovery), ratio(math::kFloat16Recovery)};
}

std::span<const Dropout> dropouts() {
  return kDropouts;
}

int64_t saved_bytes(const Dropout&, int64_t element_count) {
  return (element_count + 7) / 8;
}

std::span<const ActivationDropout> activation_dropouts() {
  return kActivationDropouts;
}

const ActivationDropout* find_activation_dropout(const Activation& activation) {
  const auto* const row = std::ranges::find(kActivationDropouts, activation.invact_op,
                                            &ActivationDropout::activation_op);
  return row == std::end(kActivationDropouts) ? nullptr : row;
}

int64_t dropout_and_branch_bytes(const Activation& activation, int64_t element_count) {
  return (element_count + 7) / 8 + branch_bytes(activation, element_count);
}

std::string_view proof(const Activation& activation) {
  return activation.strategy == kClosed ? "tests/kernels/activation/closed_form_test.cpp"
                                        : "tests/kernels/activation/derivative_test.cpp";
}

const Activation* find_activation(std::string_view aten_op, std::string_view variant) {
  const auto* const row = std::ranges::find_if(kActivations, [&](const Activation& activation) {
    return activation.aten_op == aten_op && activation.variant == variant;
  });
  return row == std::end(kActivations) ? nullptr : row;
}

const Activation* find_replacement(std::string_view invact_op) {
  const auto* const row = std::ranges::find(kActivations, invact_op, &Activation::invact_op);
  return row == std::end(kActivations) ? nullptr : row;
}

bool is_activation(std::string_view aten_op) {
  return std::ranges::any_of(
      kActivations, [&](const Activation& activation) { return activation.aten_op == aten_op; });
}

int64_t branch_bytes(const Activation& activation, int64_t element_count) {
  return (element_count * activation.branch_bits_per_element + 7) / 8;
}

}  // namespace invact::kernels
