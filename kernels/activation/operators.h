// One description per operator, from which its autograd, its schema and its registrations are
// made: name, parameters behind `self`, ATen's own operator, and the function that the parameters
// select. Internal.
#pragma once

#include <ATen/core/Scalar.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/celu.h>
#include <ATen/ops/div.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/relu6.h>
#include <ATen/ops/selu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>

#include <cmath>
#include <string_view>

#include "kernels/math/functions.h"

namespace invact::kernels {

template <class... P>
struct Parameters {};

struct GeluOperator {
  static constexpr const char* kName = "gelu";
  static constexpr const char* kSchema = ", *, str approximate='none'";
  using ParameterTypes = Parameters<std::string_view>;
  static at::Tensor aten(const at::Tensor& self, std::string_view approximate) {
    return at::gelu(self, approximate);
  }
  static at::Tensor& aten_(at::Tensor& self, std::string_view approximate) {
    return at::gelu_(self, approximate);
  }
  // Another value than these two is left to ATen's operator, which refuses it.
  static ActivationFunction function(std::string_view approximate) {
    if (approximate == "tanh") return math::GeluTanh{};
    return math::Gelu{};
  }
};

/// An operator without parameters: invact::NAME for at::NAME.
#define INVACT_PLAIN_OPERATOR(Name, NAME, FUNCTION)                           \
  struct Name##Operator {                                                     \
    static constexpr const char* kName = #NAME;                               \
    static constexpr const char* kSchema = "";                                \
    using ParameterTypes = Parameters<>;                                      \
    static at::Tensor aten(const at::Tensor& self) { return at::NAME(self); } \
    static at::Tensor& aten_(at::Tensor& self) { return at::NAME##_(self); }  \
    static ActivationFunction function() { return FUNCTION; }                 \
  };
INVACT_PLAIN_OPERATOR(Silu, silu, math::Silu{})
INVACT_PLAIN_OPERATOR(Mish, mish, math::Mish{})
INVACT_PLAIN_OPERATOR(Hardswish, hardswish, math::Hardswish{})
INVACT_PLAIN_OPERATOR(Selu, selu, math::selu())
INVACT_PLAIN_OPERATOR(Hardsigmoid, hardsigmoid, math::Hardsigmoid{})
INVACT_PLAIN_OPERATOR(Relu6, relu6, (math::Hardtanh{0.0, 6.0}))
#undef INVACT_PLAIN_OPERATOR

struct ErfGeluOperator {
  static constexpr const char* kName = "erf_gelu";
  static constexpr const char* kSchema = "";
  using ParameterTypes = Parameters<>;
  /// ATen has no such operator: BERT's first code, transformers' GELUActivation and ESM write it,
  /// self * 0.5 * (1 + erf(self / sqrt 2)). Halving is exact, so its place does not matter. In 16
  /// bit those roundings would leave an output that determines f' less well.
  static at::Tensor aten(const at::Tensor& self) {
    if (at::isReducedFloatingType(self.scalar_type())) return at::gelu(self);
    at::Tensor gate = at::div(self, M_SQRT2);
    gate.erf_().add_(1).mul_(0.5);
    return at::mul(self, gate);
  }
  static ActivationFunction function() { return math::ErfGelu{}; }
};

struct QuickGeluOperator {
  static constexpr const char* kName = "quick_gelu";
  static constexpr const char* kSchema = "";
  using ParameterTypes = Parameters<>;
  /// ATen has no such operator: as transformers and CLIP write it.
  static at::Tensor aten(const at::Tensor& self) {
    return at::mul(self, at::sigmoid(at::mul(self, math::QuickGelu::kRate)));
  }
  static ActivationFunction function() { return math::QuickGelu{}; }
};

struct EluOperator {
  static constexpr const char* kName = "elu";
  static constexpr const char* kSchema = ", Scalar alpha=1, Scalar scale=1, Scalar input_scale=1";
  using ParameterTypes = Parameters<const at::Scalar&, const at::Scalar&, const at::Scalar&>;
  static at::Tensor aten(const at::Tensor& self, const at::Scalar& alpha, const at::Scalar& scale,
                         const at::Scalar& input_scale) {
    return at::elu(self, alpha, scale, input_scale);
  }
  static at::Tensor& aten_(at::Tensor& self, const at::Scalar& alpha, const at::Scalar& scale,
                           const at::Scalar& input_scale) {
    return at::elu_(self, alpha, scale, input_scale);
  }
  static ActivationFunction function(const at::Scalar& alpha, const at::Scalar& scale,
                                     const at::Scalar& input_scale) {
    return math::Elu{alpha.toDouble(), scale.toDouble(), input_scale.toDouble()};
  }
};

struct CeluOperator {
  static constexpr const char* kName = "celu";
  static constexpr const char* kSchema = ", Scalar alpha=1.0";
  using ParameterTypes = Parameters<const at::Scalar&>;
  static at::Tensor aten(const at::Tensor& self, const at::Scalar& alpha) {
    return at::celu(self, alpha);
  }
  static at::Tensor& aten_(at::Tensor& self, const at::Scalar& alpha) {
    return at::celu_(self, alpha);
  }
  static ActivationFunction function(const at::Scalar& alpha) {
    return math::celu(alpha.toDouble());
  }
};

struct SoftplusOperator {
  static constexpr const char* kName = "softplus";
  static constexpr const char* kSchema = ", Scalar beta=1, Scalar threshold=20";
  using ParameterTypes = Parameters<const at::Scalar&, const at::Scalar&>;
  static at::Tensor aten(const at::Tensor& self, const at::Scalar& beta,
                         const at::Scalar& threshold) {
    return at::softplus(self, beta, threshold);
  }
  static ActivationFunction function(const at::Scalar& beta, const at::Scalar& threshold) {
    return math::Softplus{beta.toDouble(), threshold.toDouble()};
  }
};

struct LogSigmoidOperator {
  static constexpr const char* kName = "log_sigmoid";
  static constexpr const char* kSchema = "";
  using ParameterTypes = Parameters<>;
  static at::Tensor aten(const at::Tensor& self) { return at::log_sigmoid(self); }
  static ActivationFunction function() { return math::LogSigmoid{}; }
};

struct SoftsignOperator {
  static constexpr const char* kName = "softsign";
  static constexpr const char* kSchema = "";
  using ParameterTypes = Parameters<>;
  /// ATen has no such operator: as torch.nn.functional.softsign writes it.
  static at::Tensor aten(const at::Tensor& self) {
    return at::div(self, at::add(at::abs(self), 1));
  }
  static ActivationFunction function() { return math::Softsign{}; }
};

struct SquaredReluOperator {
  static constexpr const char* kName = "squared_relu";
  static constexpr const char* kSchema = "";
  using ParameterTypes = Parameters<>;
  /// ATen has no such operator: as transformers writes it, square(relu(x)).
  static at::Tensor aten(const at::Tensor& self) { return at::relu(self).square_(); }
  static ActivationFunction function() { return math::SquaredRelu{}; }
};

struct LeakyReluOperator {
  static constexpr const char* kName = "leaky_relu";
  static constexpr const char* kSchema = ", Scalar negative_slope=0.01";
  using ParameterTypes = Parameters<const at::Scalar&>;
  static at::Tensor aten(const at::Tensor& self, const at::Scalar& negative_slope) {
    return at::leaky_relu(self, negative_slope);
  }
  static at::Tensor& aten_(at::Tensor& self, const at::Scalar& negative_slope) {
    return at::leaky_relu_(self, negative_slope);
  }
  static ActivationFunction function(const at::Scalar& negative_slope) {
    return math::LeakyRelu{negative_slope.toDouble()};
  }
};

struct HardtanhOperator {
  static constexpr const char* kName = "hardtanh";
  static constexpr const char* kSchema = ", Scalar min_val=-1, Scalar max_val=1";
  using ParameterTypes = Parameters<const at::Scalar&, const at::Scalar&>;
  static at::Tensor aten(const at::Tensor& self, const at::Scalar& min_val,
                         const at::Scalar& max_val) {
    return at::hardtanh(self, min_val, max_val);
  }
  static at::Tensor& aten_(at::Tensor& self, const at::Scalar& min_val, const at::Scalar& max_val) {
    return at::hardtanh_(self, min_val, max_val);
  }
  static ActivationFunction function(const at::Scalar& min_val, const at::Scalar& max_val) {
    return math::Hardtanh{min_val.toDouble(), max_val.toDouble()};
  }
};

// clang-format would put several on a line.
// clang-format off

/// Expands `X(Operator)` for every operator.
#define INVACT_FOR_EACH_OPERATOR(X) \
  X(GeluOperator)                   \
  X(SiluOperator)                   \
  X(MishOperator)                   \
  X(HardswishOperator)              \
  X(ErfGeluOperator)                \
  X(QuickGeluOperator)              \
  X(EluOperator)                    \
  X(CeluOperator)                   \
  X(SeluOperator)                   \
  X(SoftplusOperator)               \
  X(LogSigmoidOperator)             \
  X(SoftsignOperator)               \
  X(LeakyReluOperator)              \
  X(HardsigmoidOperator)            \
  X(HardtanhOperator)               \
  X(Relu6Operator)                  \
  X(SquaredReluOperator)

// clang-format on

}  // namespace invact::kernels
