// The rows of catalog.h. Bounds are for correctly rounded outputs, measured on the CPU by
// DerivativeTest.CatalogStatesTheMeasuredBound of tests/kernels/derivative_test.cpp, over every
// 16-bit input and over float32 and float64 inputs that crowd the minimum, and rounded up. What
// ATen's own output adds in float32: own_forward_test.cpp.
#include "kernels/catalog.h"

#include <algorithm>

namespace invact::kernels {
namespace {

constexpr DerivativeErrorBound kGeluBound{2.0e-9, 4.8e-5, 1.1e-2, 4.9e-3};
constexpr DerivativeErrorBound kGeluTanhBound{2.4e-9, 5.2e-5, 1.1e-2, 3.8e-3};
constexpr DerivativeErrorBound kSiluBound{1.7e-9, 5.7e-5, 1.2e-2, 4.1e-3};

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

const Activation* find_replacement(std::string_view invact_op) {
  const auto row = std::ranges::find(kActivations, invact_op, &Activation::invact_op);
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
