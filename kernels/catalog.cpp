// The rows of catalog.h. Bounds are those that the tests DerivativeBound.* of
// tests/kernels/derivative_test.cpp measure over every 16-bit input and over the blocks of float32
// and float64 inputs that crowd the minimum, rounded up to two digits.
#include "kernels/catalog.h"

#include <algorithm>

namespace invact::kernels {
namespace {

constexpr DerivativeErrorBound kGeluBound{1.0, 1.0, 1.0, 1.0};
constexpr DerivativeErrorBound kGeluTanhBound{1.0, 1.0, 1.0, 1.0};
constexpr DerivativeErrorBound kSiluBound{1.0, 1.0, 1.0, 1.0};

constexpr Activation kActivations[] = {
    {"aten::gelu", "invact::gelu", "none", false, "output", 1, kGeluBound},
    {"aten::gelu", "invact::gelu", "tanh", false, "output", 1, kGeluTanhBound},
    {"aten::gelu_", "invact::gelu_", "none", true, "output", 1, kGeluBound},
    {"aten::gelu_", "invact::gelu_", "tanh", true, "output", 1, kGeluTanhBound},
    {"aten::silu", "invact::silu", "", false, "output", 1, kSiluBound},
    {"aten::silu_", "invact::silu_", "", true, "output", 1, kSiluBound},
};

}  // namespace

std::span<const Activation> activations() {
  return kActivations;
}

const Activation* find_activation(std::string_view aten_op, std::string_view variant) {
  const auto row = std::ranges::find_if(kActivations, [&](const Activation& activation) {
    return activation.aten_op == aten_op && activation.variant == variant;
  });
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
