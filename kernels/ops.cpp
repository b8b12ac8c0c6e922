// Every schema of the `invact` namespace, and the public C++ functions. Schemas are for ever: saved
// models name them.
#include "kernels/ops.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/batch_norm.h>
#include <torch/library.h>

#include <string>

#include "kernels/activation/internal_operators.h"
#include "kernels/activation/operators.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/norm/norm_operators.h"
#include "kernels/recompute/recompute_operators.h"

namespace invact {
namespace kernels {
namespace {

/// The public operator, and its in-place form where ATen has one.
template <class Operator>
void define_operator(torch::Library& m) {
  const std::string name = Operator::kName;
  const std::string parameters = Operator::kSchema;
  m.def((name + "(Tensor self" + parameters + ") -> Tensor").c_str());
  if constexpr (requires { &Operator::aten_; }) {
    m.def((name + "_(Tensor(a!) self" + parameters + ") -> Tensor(a!)").c_str());
  }
}

/// Dropout of the activation in one: the activation's parameters, some of which have defaults or
/// are given by name, stand behind dropout's.
template <class Operator>
void define_dropout_of(torch::Library& m) {
  m.def((std::string(Operator::kName) + "_dropout(Tensor self, float p, bool train" +
         Operator::kSchema + ") -> Tensor")
            .c_str());
}

/// Inference mode has no autograd keys: the operators are ATen's own there.
template <class Operator>
void register_inference(torch::Library& m) {
  m.impl(Operator::kName, &Operator::aten);
  if constexpr (requires { &Operator::aten_; }) {
    m.impl((std::string(Operator::kName) + "_").c_str(), &Operator::aten_);
  }
}

// layer_norm's and rms_norm's schemas are ATen's.
constexpr const char* kLayerNormSchema =
    "layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1e-05, bool cudnn_enable=True) -> Tensor";
constexpr const char* kLayerNormTransposedSchema =
    "layer_norm_transposed(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, "
    "float eps, bool cudnn_enable, int dim0, int dim1) -> Tensor";
constexpr const char* kRmsNormSchema =
    "rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None) -> "
    "Tensor";
constexpr const char* kRmsNormCastSchema =
    "rms_norm_cast(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float eps=1e-06, "
    "*, float weight_offset=0., ScalarType? normalized_dtype=None, ScalarType? output_dtype=None) "
    "-> Tensor";

constexpr const char* kBatchNormSchema =  // ATen's
    "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
    "running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor";

at::Tensor plain_layer_norm_transposed(const at::Tensor& input,
                                       c10::SymIntArrayRef normalized_shape,
                                       const OptionalTensor& weight, const OptionalTensor& bias,
                                       double eps, bool cudnn_enable, int64_t, int64_t) {
  return aten_layer_norm(input, normalized_shape, weight, bias, eps, cudnn_enable);
}

at::Tensor plain_rms_norm_cast(const at::Tensor& input, c10::SymIntArrayRef normalized_shape,
                               const OptionalTensor& weight, double eps, double weight_offset,
                               std::optional<at::ScalarType> normalized_dtype,
                               std::optional<at::ScalarType> output_dtype) {
  return std::get<0>(rms_norm_cast_forward(input, normalized_shape, weight, eps,
                                           {weight_offset, normalized_dtype, output_dtype}));
}

}  // namespace

TORCH_LIBRARY(invact, m) {
#define INVACT_DEFINE(Operator) define_operator<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_DEFINE)
#undef INVACT_DEFINE
  m.def(kForwardSchema);
  m.def(kForwardOutSchema);
  m.def(kBackwardSchema);
  m.def(kBackwardOutSchema);
  m.def(kLayerNormSchema);
  m.def(kLayerNormTransposedSchema);
  m.def(kRmsNormSchema);
  m.def(kRmsNormCastSchema);
  m.def(kBatchNormSchema);
  m.def(kNormBackwardSchema);
  m.def(kNormRecoverableSchema);
  m.def("dropout(Tensor input, float p, bool train) -> Tensor");
  m.def("dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)");
  m.def(kDropoutSchema);
  m.def(kDropoutInPlaceSchema);
  m.def(kDropoutForwardSchema);
  m.def(kDropoutForwardInPlaceSchema);
  m.def(kDropoutBackwardSchema);
#define INVACT_DEFINE(Operator) define_dropout_of<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_DEFINE)
#undef INVACT_DEFINE
  m.def(kDroppedBitsSchema);
  m.def(kDroppedBackwardSchema);
  for (const char* schema :
       {kRecomputeSchema, kRecomputeExtraSchema, kReleaseSchema, kBatchNormForwardSchema}) {
    // Side effects: neither dropped, nor merged, nor moved by the passes of LibTorch.
    m.def(torch::schema(schema, c10::AliasAnalysisKind::CONSERVATIVE));
  }
  m.def(kBatchNormAgainSchema);
  m.def(kDropoutAgainSchema);
}

TORCH_LIBRARY_IMPL(invact, CompositeExplicitAutograd, m) {
#define INVACT_REGISTER(Operator) register_inference<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
  m.impl("layer_norm", &aten_layer_norm);
  m.impl("layer_norm_transposed", &plain_layer_norm_transposed);
  m.impl("rms_norm", &aten_rms_norm);
  m.impl("rms_norm_cast", &plain_rms_norm_cast);
  m.impl("batch_norm", &at::batch_norm);
}

}  // namespace kernels

namespace {

template <class Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

using at::Scalar;
using at::Tensor;

}  // namespace

// A public function is a call of its operator, whose signature is its own; the handle is looked up
// once.
#define INVACT_CALL(NAME, ...)                                                         \
  static const auto kHandle = find_operator<decltype(invact::NAME)>("invact::" #NAME); \
  return kHandle.call(__VA_ARGS__)

Tensor gelu(const Tensor& self, std::string_view approximate) {
  INVACT_CALL(gelu, self, approximate);
}
Tensor& gelu_(Tensor& self, std::string_view approximate) {
  INVACT_CALL(gelu_, self, approximate);
}

Tensor silu(const Tensor& self) {
  INVACT_CALL(silu, self);
}
Tensor& silu_(Tensor& self) {
  INVACT_CALL(silu_, self);
}

Tensor mish(const Tensor& self) {
  INVACT_CALL(mish, self);
}
Tensor& mish_(Tensor& self) {
  INVACT_CALL(mish_, self);
}

Tensor hardswish(const Tensor& self) {
  INVACT_CALL(hardswish, self);
}
Tensor& hardswish_(Tensor& self) {
  INVACT_CALL(hardswish_, self);
}

Tensor erf_gelu(const Tensor& self) {
  INVACT_CALL(erf_gelu, self);
}

Tensor quick_gelu(const Tensor& self) {
  INVACT_CALL(quick_gelu, self);
}

Tensor elu(const Tensor& self, const Scalar& alpha, const Scalar& scale,
           const Scalar& input_scale) {
  INVACT_CALL(elu, self, alpha, scale, input_scale);
}
Tensor& elu_(Tensor& self, const Scalar& alpha, const Scalar& scale, const Scalar& input_scale) {
  INVACT_CALL(elu_, self, alpha, scale, input_scale);
}

Tensor celu(const Tensor& self, const Scalar& alpha) {
  INVACT_CALL(celu, self, alpha);
}
Tensor& celu_(Tensor& self, const Scalar& alpha) {
  INVACT_CALL(celu_, self, alpha);
}

Tensor selu(const Tensor& self) {
  INVACT_CALL(selu, self);
}
Tensor& selu_(Tensor& self) {
  INVACT_CALL(selu_, self);
}

Tensor softplus(const Tensor& self, const Scalar& beta, const Scalar& threshold) {
  INVACT_CALL(softplus, self, beta, threshold);
}

Tensor log_sigmoid(const Tensor& self) {
  INVACT_CALL(log_sigmoid, self);
}

Tensor softsign(const Tensor& self) {
  INVACT_CALL(softsign, self);
}

Tensor squared_relu(const Tensor& self) {
  INVACT_CALL(squared_relu, self);
}

Tensor leaky_relu(const Tensor& self, const Scalar& negative_slope) {
  INVACT_CALL(leaky_relu, self, negative_slope);
}
Tensor& leaky_relu_(Tensor& self, const Scalar& negative_slope) {
  INVACT_CALL(leaky_relu_, self, negative_slope);
}

Tensor hardsigmoid(const Tensor& self) {
  INVACT_CALL(hardsigmoid, self);
}
Tensor& hardsigmoid_(Tensor& self) {
  INVACT_CALL(hardsigmoid_, self);
}

Tensor hardtanh(const Tensor& self, const Scalar& min_val, const Scalar& max_val) {
  INVACT_CALL(hardtanh, self, min_val, max_val);
}
Tensor& hardtanh_(Tensor& self, const Scalar& min_val, const Scalar& max_val) {
  INVACT_CALL(hardtanh_, self, min_val, max_val);
}

Tensor relu6(const Tensor& self) {
  INVACT_CALL(relu6, self);
}
Tensor& relu6_(Tensor& self) {
  INVACT_CALL(relu6_, self);
}

Tensor layer_norm(const Tensor& input, c10::SymIntArrayRef normalized_shape,
                  const std::optional<Tensor>& weight, const std::optional<Tensor>& bias,
                  double eps, bool cudnn_enable) {
  INVACT_CALL(layer_norm, input, normalized_shape, weight, bias, eps, cudnn_enable);
}

Tensor layer_norm_transposed(const Tensor& input, c10::SymIntArrayRef normalized_shape,
                             const std::optional<Tensor>& weight, const std::optional<Tensor>& bias,
                             double eps, bool cudnn_enable, int64_t dim0, int64_t dim1) {
  INVACT_CALL(layer_norm_transposed, input, normalized_shape, weight, bias, eps, cudnn_enable, dim0,
              dim1);
}

Tensor batch_norm(const Tensor& input, const std::optional<Tensor>& weight,
                  const std::optional<Tensor>& bias, const std::optional<Tensor>& running_mean,
                  const std::optional<Tensor>& running_var, bool training, double momentum,
                  double eps, bool cudnn_enabled) {
  INVACT_CALL(batch_norm, input, weight, bias, running_mean, running_var, training, momentum, eps,
              cudnn_enabled);
}

Tensor rms_norm(const Tensor& input, c10::SymIntArrayRef normalized_shape,
                const std::optional<Tensor>& weight, std::optional<double> eps) {
  INVACT_CALL(rms_norm, input, normalized_shape, weight, eps);
}

Tensor rms_norm_cast(const Tensor& input, c10::SymIntArrayRef normalized_shape,
                     const std::optional<Tensor>& weight, double eps, double weight_offset,
                     std::optional<at::ScalarType> normalized_dtype,
                     std::optional<at::ScalarType> output_dtype) {
  INVACT_CALL(rms_norm_cast, input, normalized_shape, weight, eps, weight_offset, normalized_dtype,
              output_dtype);
}

Tensor dropout(const Tensor& input, double p, bool train) {
  INVACT_CALL(dropout, input, p, train);
}
Tensor& dropout_(Tensor& self, double p, bool train) {
  INVACT_CALL(dropout_, self, p, train);
}

Tensor gelu_dropout(const Tensor& self, double p, bool train, std::string_view approximate) {
  INVACT_CALL(gelu_dropout, self, p, train, approximate);
}
Tensor silu_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(silu_dropout, self, p, train);
}
Tensor mish_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(mish_dropout, self, p, train);
}
Tensor hardswish_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(hardswish_dropout, self, p, train);
}
Tensor erf_gelu_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(erf_gelu_dropout, self, p, train);
}
Tensor quick_gelu_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(quick_gelu_dropout, self, p, train);
}
Tensor elu_dropout(const Tensor& self, double p, bool train, const Scalar& alpha,
                   const Scalar& scale, const Scalar& input_scale) {
  INVACT_CALL(elu_dropout, self, p, train, alpha, scale, input_scale);
}
Tensor celu_dropout(const Tensor& self, double p, bool train, const Scalar& alpha) {
  INVACT_CALL(celu_dropout, self, p, train, alpha);
}
Tensor selu_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(selu_dropout, self, p, train);
}
Tensor softplus_dropout(const Tensor& self, double p, bool train, const Scalar& beta,
                        const Scalar& threshold) {
  INVACT_CALL(softplus_dropout, self, p, train, beta, threshold);
}
Tensor log_sigmoid_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(log_sigmoid_dropout, self, p, train);
}
Tensor softsign_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(softsign_dropout, self, p, train);
}
Tensor leaky_relu_dropout(const Tensor& self, double p, bool train, const Scalar& negative_slope) {
  INVACT_CALL(leaky_relu_dropout, self, p, train, negative_slope);
}
Tensor hardsigmoid_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(hardsigmoid_dropout, self, p, train);
}
Tensor hardtanh_dropout(const Tensor& self, double p, bool train, const Scalar& min_val,
                        const Scalar& max_val) {
  INVACT_CALL(hardtanh_dropout, self, p, train, min_val, max_val);
}
Tensor relu6_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(relu6_dropout, self, p, train);
}
Tensor squared_relu_dropout(const Tensor& self, double p, bool train) {
  INVACT_CALL(squared_relu_dropout, self, p, train);
}
#undef INVACT_CALL

}  // namespace invact
