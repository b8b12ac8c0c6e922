// The functions of math/functions.h by name and parameters: how the internal operators, whose
// arguments are strings and numbers, say which one they mean. No torch.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kernels/math/functions.h"

namespace invact::kernels {

/// The function of this kName. @throws std::invalid_argument for another name or another number of
/// parameters.
ActivationFunction make_function(std::string_view name, std::span<const double> parameters);

std::string_view function_name(const ActivationFunction& function);
std::vector<double> function_parameters(const ActivationFunction& function);

/// Bits per element, beside the output, that the derivative needs.
int branch_bits(const ActivationFunction& function);

/// Whether these parameters leave the output (and the branch bit) enough to determine the
/// derivative.
bool is_invertible(const ActivationFunction& function);

/// Bytes of the branch bits of so many elements.
template <class Integer>
Integer branch_byte_count(const ActivationFunction& function, const Integer& element_count) {
  return (element_count * branch_bits(function) + 7) / 8;
}

}  // namespace invact::kernels
