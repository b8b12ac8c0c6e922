// Every function of the operator library as one value: what an operator's arguments select, and
// what the loops of each device are instantiated for. A new function is added to both lists below.
// No torch.
#pragma once

#include <variant>

#include "kernels/math/gelu.h"
#include "kernels/math/silu.h"

namespace invact::kernels {

using ActivationFunction = std::variant<math::Gelu, math::GeluTanh, math::Silu>;

/// Expands `X(Function)` for each alternative: explicit instantiations of the loops.
#define INVACT_FOR_EACH_FUNCTION(X) X(math::Gelu) X(math::GeluTanh) X(math::Silu)

}  // namespace invact::kernels
