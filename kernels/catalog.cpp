// The rows of catalog.h. Bounds are for correctly rounded outputs, measured on the CPU by
// CatalogStatesTheMeasuredBound of tests/kernels/activation/derivative_test.cpp and
// closed_form_test.cpp, over every 16-bit input and over float32 and float64 inputs that crowd the
// minimum, and rounded up. What ATen's own output adds in float32: own_forward_test.cpp. What ATen
// saves for each of them, and for those that need nothing: saved_by_aten_test.cpp.
#include "kernels/catalog.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <vector>

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

/// Every activation, in the order of INVACT_FOR_EACH_OPERATOR (activation/operators.h). ATen's
/// elu_, celu_, selu_ and leaky_relu_ save their output: no rows.
// Arguments: name, variant, whether in place, strategy, branch bits, error bound, whether the
// output determines the derivative.
#define INVACT_ATEN(NAME, ...) \
  { "aten::" NAME, "invact::" NAME, __VA_ARGS__ }
#define INVACT_OWN(NAME, ...) \
  { "", "invact::" NAME, __VA_ARGS__ }
constexpr Activation kAllActivations[] = {
    // A table is read by column.
    // clang-format off
    INVACT_ATEN("gelu",         "none", false, kOutput, 1, kGelu,        nullptr),
    INVACT_ATEN("gelu",         "tanh", false, kOutput, 1, kGeluTanh,    nullptr),
    INVACT_ATEN("gelu_",        "none", true,  kOutput, 1, kGelu,        nullptr),
    INVACT_ATEN("gelu_",        "tanh", true,  kOutput, 1, kGeluTanh,    nullptr),
    INVACT_ATEN("silu",         "",     false, kOutput, 1, kSilu,        nullptr),
    INVACT_ATEN("silu_",        "",     true,  kOutput, 1, kSilu,        nullptr),
    INVACT_ATEN("mish",         "",     false, kOutput, 1, kMish,        nullptr),
    INVACT_ATEN("mish_",        "",     true,  kOutput, 1, kMish,        nullptr),
    INVACT_ATEN("hardswish",    "",     false, kOutput, 1, kHardswish,   nullptr),
    INVACT_ATEN("hardswish_",   "",     true,  kOutput, 1, kHardswish,   nullptr),
    INVACT_OWN( "erf_gelu",     "",     false, kOutput, 1, kGelu,        nullptr),
    INVACT_OWN( "quick_gelu",   "",     false, kOutput, 1, kQuickGelu,   nullptr),
    INVACT_ATEN("elu",          "",     false, kClosed, 0, kElu,         &elu_is_invertible),
    INVACT_ATEN("celu",         "",     false, kClosed, 0, kElu,         &celu_is_invertible),
    INVACT_ATEN("selu",         "",     false, kClosed, 0, kSelu,        nullptr),
    INVACT_ATEN("softplus",     "",     false, kClosed, 0, kSoftplus,    &softplus_is_invertible),
    INVACT_ATEN("log_sigmoid",  "",     false, kClosed, 0, kLogSigmoid,  nullptr),
    INVACT_OWN( "softsign",     "",     false, kClosed, 0, kSoftsign,    nullptr),
    INVACT_ATEN("leaky_relu",   "",     false, kClosed, 0, kLeakyRelu,   &leaky_relu_is_invertible),
    INVACT_ATEN("hardsigmoid",  "",     false, kClosed, 0, kHardsigmoid, nullptr),
    INVACT_ATEN("hardsigmoid_", "",     true,  kClosed, 0, kHardsigmoid, nullptr),
    INVACT_ATEN("hardtanh",     "",     false, kClosed, 0, kExact,       &hardtanh_is_invertible),
    INVACT_ATEN("hardtanh_",    "",     true,  kClosed, 0, kExact,       &hardtanh_is_invertible),
    INVACT_ATEN("relu6",        "",     false, kClosed, 0, kExact,       nullptr),
    INVACT_ATEN("relu6_",       "",     true,  kClosed, 0, kExact,       nullptr),
    INVACT_OWN( "squared_relu", "",     false, kClosed, 0, kSquaredRelu, nullptr),
    // clang-format on
};
#undef INVACT_ATEN
#undef INVACT_OWN

constexpr bool has_aten_op(const Activation& activation) {
  return !activation.aten_op.empty();
}
constexpr bool is_written_out(const Activation& activation) {
  return activation.aten_op.empty();
}

template <bool (*kIsWanted)(const Activation&)>
constexpr auto rows_that() {
  constexpr auto kCount = std::ranges::count_if(kAllActivations, kIsWanted);
  std::array<Activation, kCount> rows{};
  std::ranges::copy_if(kAllActivations, rows.begin(), kIsWanted);
  return rows;
}

constexpr auto kActivations = rows_that<has_aten_op>();
constexpr auto kWrittenOut = rows_that<is_written_out>();

/// One row per activation that writes nothing; its variants share it.
struct ActivationDropouts {
  ActivationDropouts() {
    names.reserve(std::size(kAllActivations));  // the rows point into them
    for (const Activation& activation : kAllActivations) {
      const bool is_known = !rows.empty() && rows.back().activation_op == activation.invact_op;
      if (activation.in_place || is_known) continue;
      names.push_back(std::string(activation.invact_op) + "_dropout");
      rows.push_back({activation.invact_op, names.back()});
    }
  }

  std::vector<std::string> names;
  std::vector<ActivationDropout> rows;
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
  static const ActivationDropouts dropouts;
  return dropouts.rows;
}

const ActivationDropout* find_activation_dropout(const Activation& activation) {
  const auto rows = activation_dropouts();
  const auto row = std::ranges::find(rows, activation.invact_op, &ActivationDropout::activation_op);
  return row == rows.end() ? nullptr : &*row;
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
