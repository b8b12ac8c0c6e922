// f' from y and branch as the library's math headers compute it, in float, before any rounding to a
// 16-bit type; built for the baseline, for AVX2 and for AVX-512 like the loops themselves
// (forms.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/activation_loops.h"
#include "kernels/math/functions.h"

namespace invact::testing {

using kernels::ActivationFunction;
using kernels::ElementType;

/// Values of y that the element type can hold, and their branch bits.
struct StoredOutputs {
  std::vector<double> y;
  std::vector<uint8_t> left;
};

namespace baseline {
std::vector<double> derivative(const ActivationFunction& function, ElementType type,
                               const StoredOutputs& outputs);
}
namespace avx2 {
std::vector<double> derivative(const ActivationFunction& function, ElementType type,
                               const StoredOutputs& outputs);
}
namespace avx512 {
std::vector<double> derivative(const ActivationFunction& function, ElementType type,
                               const StoredOutputs& outputs);
}

}  // namespace invact::testing
