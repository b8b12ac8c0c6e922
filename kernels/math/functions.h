// Every function of the operator library as one value: what an operator's arguments select, and
// what the loops of each device are instantiated for. A new function is added to both lists below.
// No torch.
#pragma once

#include <variant>

#include "kernels/math/elu.h"
#include "kernels/math/gelu.h"
#include "kernels/math/hardswish.h"
#include "kernels/math/mish.h"
#include "kernels/math/piecewise_linear.h"
#include "kernels/math/quick_gelu.h"
#include "kernels/math/silu.h"
#include "kernels/math/softplus.h"
#include "kernels/math/softsign.h"
#include "kernels/math/squared_relu.h"

namespace invact::kernels {

using ActivationFunction =
    std::variant<math::Gelu, math::ErfGelu, math::GeluTanh, math::Silu, math::Mish, math::QuickGelu,
                 math::Hardswish, math::Elu, math::Softplus, math::LogSigmoid, math::Softsign,
                 math::LeakyRelu, math::Hardtanh, math::Hardsigmoid, math::SquaredRelu>;

// clang-format would put several on a line.
// clang-format off

/// Expands `X(Function)` for each alternative with a branch bit: explicit instantiations of the
/// loops.
#define INVACT_FOR_EACH_BRANCHED_FUNCTION(X) \
  X(math::Gelu)                              \
  X(math::ErfGelu)                           \
  X(math::GeluTanh)                          \
  X(math::Silu)                              \
  X(math::Mish)                              \
  X(math::QuickGelu)                         \
  X(math::Hardswish)

/// Expands `X(Function)` for each alternative.
#define INVACT_FOR_EACH_FUNCTION(X)    \
  INVACT_FOR_EACH_BRANCHED_FUNCTION(X) \
  X(math::Elu)                         \
  X(math::Softplus)                    \
  X(math::LogSigmoid)                  \
  X(math::Softsign)                    \
  X(math::LeakyRelu)                   \
  X(math::Hardtanh)                    \
  X(math::Hardsigmoid)                 \
  X(math::SquaredRelu)

/// Expands `X(Function)` for each alternative whose forward the CPU loops compute as ATen does, bit
/// for bit (cpu/aten_value.h).
#define INVACT_FOR_EACH_FUNCTION_WITH_OWN_FORWARD(X) \
  X(math::Hardswish)                                 \
  X(math::Silu)                                      \
  X(math::QuickGelu)

// clang-format on

template <class Function>
inline constexpr bool kHasOwnForward = false;
#define INVACT_HAS_OWN_FORWARD(F) \
  template <>                     \
  inline constexpr bool kHasOwnForward<F> = true;
INVACT_FOR_EACH_FUNCTION_WITH_OWN_FORWARD(INVACT_HAS_OWN_FORWARD)
#undef INVACT_HAS_OWN_FORWARD

}  // namespace invact::kernels
