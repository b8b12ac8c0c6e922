#include "bench/operator_table.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/TensorImpl.h>

#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "bench/row_operators.h"
#include "kernels/activation/operators.h"

namespace invact::bench {
namespace {

using kernels::math::QuickGelu;

/// A Python number as ATen's binary operators see it: its dtype does not promote the tensor's.
at::Tensor python_number(double value) {
  at::Tensor number = at::scalar_tensor(value, at::kDouble);
  number.unsafeGetTensorImpl()->set_wrapped_number(true);
  return number;
}
const at::Tensor& quick_gelu_rate() {
  static const at::Tensor kRate = python_number(QuickGelu::kRate);
  return kRate;
}
const at::Tensor& root_of_two() {
  static const at::Tensor kRoot = python_number(M_SQRT2);
  return kRoot;
}
const at::Tensor& half() {
  static const at::Tensor kHalf = python_number(0.5);
  return kHalf;
}
const at::Tensor& one() {
  static const at::Tensor kOne = python_number(1);
  return kOne;
}
const at::Tensor& two() {
  static const at::Tensor kTwo = python_number(2);
  return kTwo;
}

void quick_gelu_forward(Arrays& a) {
  at::mul_out(a.scratch[0], a.input, quick_gelu_rate());
  at::sigmoid_out(a.scratch[0], a.scratch[0]);
  at::mul_out(a.output, a.input, a.scratch[0]);
}

void prepare_quick_gelu(Arrays& a) {
  a.scratch[0] = at::empty_like(a.input);
  a.saved[0] = at::sigmoid(at::mul(a.input, quick_gelu_rate()));
}

/// What autograd runs for x * sigmoid(1.702 x): product, sigmoid, product, and the sum of x's two
/// gradients.
at::Tensor quick_gelu_backward(Arrays& a) {
  at::mul_out(a.grad_input, a.grad_output, a.saved[0]);
  at::mul_out(a.scratch[0], a.grad_output, a.input);
  at::sigmoid_backward_out(a.scratch[0], a.scratch[0], a.saved[0]);
  at::mul_out(a.scratch[0], a.scratch[0], quick_gelu_rate());
  return at::add_out(a.grad_input, a.grad_input, a.scratch[0]);
}

void softsign_forward(Arrays& a) {
  a.output.copy_(kernels::SoftsignOperator::aten(a.input));
}

void prepare_softsign(Arrays& a) {
  a.saved[0] = at::add(at::abs(a.input), 1);
  a.scratch = {at::empty_like(a.input), at::empty_like(a.input)};
}

/// What autograd runs for x / (|x| + 1): both gradients of the quotient, that of |x|, and the sum.
at::Tensor softsign_backward(Arrays& a) {
  at::div_out(a.grad_input, a.grad_output, a.saved[0]);
  at::div_out(a.scratch[0], a.input, a.saved[0]);
  at::div_out(a.scratch[0], a.scratch[0], a.saved[0]);
  at::neg_out(a.scratch[1], a.grad_output);
  at::mul_out(a.scratch[0], a.scratch[1], a.scratch[0]);
  at::sgn_out(a.scratch[1], a.input);
  at::mul_out(a.scratch[0], a.scratch[0], a.scratch[1]);
  return at::add_out(a.grad_input, a.grad_input, a.scratch[0]);
}

/// As models write it: 5 operators.
void erf_gelu_forward(Arrays& a) {
  at::div_out(a.scratch[0], a.input, root_of_two());
  at::erf_out(a.scratch[0], a.scratch[0]);
  at::add_out(a.scratch[0], a.scratch[0], one());
  at::mul_out(a.scratch[1], a.input, half());
  at::mul_out(a.output, a.scratch[1], a.scratch[0]);
}

void prepare_erf_gelu(Arrays& a) {
  a.saved = {at::div(a.input, M_SQRT2), at::add(at::erf(at::div(a.input, M_SQRT2)), 1)};
  a.scratch = {at::empty_like(a.input), at::empty_like(a.input)};
}

/// What autograd runs for it: both gradients of the product, erf's, and the sum of x's two.
at::Tensor erf_gelu_backward(Arrays& a) {
  static const at::Tensor kErfSlope = python_number(M_2_SQRTPI);
  at::mul_out(a.grad_input, a.grad_output, a.saved[1]);
  at::mul_out(a.grad_input, a.grad_input, half());
  at::mul_out(a.scratch[0], a.input, half());
  at::mul_out(a.scratch[0], a.grad_output, a.scratch[0]);
  at::pow_out(a.scratch[1], a.saved[0], 2);
  at::neg_out(a.scratch[1], a.scratch[1]);
  at::exp_out(a.scratch[1], a.scratch[1]);
  at::mul_out(a.scratch[1], a.scratch[1], kErfSlope);
  at::mul_out(a.scratch[0], a.scratch[0], a.scratch[1]);
  at::div_out(a.scratch[0], a.scratch[0], root_of_two());
  return at::add_out(a.grad_input, a.grad_input, a.scratch[0]);
}

void squared_relu_forward(Arrays& a) {
  at::relu_out(a.output, a.input);
  at::pow_out(a.output, a.output, 2);
}

void prepare_squared_relu(Arrays& a) {
  a.saved[0] = at::relu(a.input);
  a.scratch[0] = at::empty_like(a.input);
}

/// What autograd runs for relu(x).square(): 2 r, the product, and ReLU's.
at::Tensor squared_relu_backward(Arrays& a) {
  at::mul_out(a.scratch[0], a.saved[0], two());
  at::mul_out(a.scratch[0], a.grad_output, a.scratch[0]);
  return at::threshold_backward_out(a.grad_input, a.scratch[0], a.saved[0], 0);
}

void prepare_log_sigmoid(Arrays& a) {
  a.saved[0] = std::get<1>(at::log_sigmoid_forward(a.input));
}

constexpr const char* kOwnResult = " (has no out form: its result's memory is a used one's)";
const std::string kMishBackward = std::string("at::mish_backward") + kOwnResult;
const std::string kHardswishBackward = std::string("at::hardswish_backward") + kOwnResult;

std::vector<BenchOperator> make_operators() {
  using namespace kernels;  // NOLINT: the descriptions of operators.h
  using A = Arrays;
  return {
      {"gelu", GeluOperator::function("none"),
       [](A& a) { at::gelu_out(a.output, a.input, "none"); }, "at::gelu_out",
       [](A& a) { return at::gelu_backward_out(a.grad_input, a.grad_output, a.input, "none"); },
       "at::gelu_backward_out"},
      {"gelu_tanh", GeluOperator::function("tanh"),
       [](A& a) { at::gelu_out(a.output, a.input, "tanh"); }, "at::gelu_out(tanh)",
       [](A& a) { return at::gelu_backward_out(a.grad_input, a.grad_output, a.input, "tanh"); },
       "at::gelu_backward_out(tanh)"},
      {"erf_gelu", ErfGeluOperator::function(), &erf_gelu_forward,
       "x * 0.5 * (1 + erf(x / sqrt 2)) in 5 out forms", &erf_gelu_backward,
       "autograd of it in 11 out forms", &prepare_erf_gelu},
      {"silu", SiluOperator::function(), [](A& a) { at::silu_out(a.output, a.input); },
       "at::silu_out",
       [](A& a) { return at::silu_backward_out(a.grad_input, a.grad_output, a.input); },
       "at::silu_backward_out"},
      {"mish", MishOperator::function(), [](A& a) { at::mish_out(a.output, a.input); },
       "at::mish_out", [](A& a) { return at::mish_backward(a.grad_output, a.input); },
       kMishBackward.c_str()},
      // hardswish_backward.out exists, but computes a tensor of its own and copies it.
      {"hardswish", HardswishOperator::function(),
       [](A& a) { at::hardswish_out(a.output, a.input); }, "at::hardswish_out",
       [](A& a) { return at::hardswish_backward(a.grad_output, a.input); },
       kHardswishBackward.c_str()},
      {"quick_gelu", QuickGeluOperator::function(), &quick_gelu_forward,
       "x * sigmoid(1.702 x) in 3 out forms", &quick_gelu_backward,
       "autograd of x * sigmoid(1.702 x) in 5 out forms", &prepare_quick_gelu},
      {"elu", EluOperator::function(1, 1, 1), [](A& a) { at::elu_out(a.output, a.input); },
       "at::elu_out",
       [](A& a) {
         return at::elu_backward_out(a.grad_input, a.grad_output, 1, 1, 1, /*is_result=*/false,
                                     a.input);
       },
       "at::elu_backward_out"},
      {"celu", CeluOperator::function(1.0), [](A& a) { a.output.copy_(at::celu(a.input)); },
       "at::celu",
       [](A& a) {
         return at::elu_backward_out(a.grad_input, a.grad_output, 1.0, 1, 1.0, /*is_result=*/false,
                                     a.input);
       },
       "at::elu_backward_out"},
      {"selu", SeluOperator::function(), [](A& a) { a.output.copy_(at::selu(a.input)); },
       "at::selu",
       [](A& a) {
         constexpr math::Elu kSelu = math::selu();
         return at::elu_backward_out(a.grad_input, a.grad_output, kSelu.alpha, kSelu.scale,
                                     kSelu.input_scale, /*is_result=*/false, a.input);
       },
       "at::elu_backward_out"},
      {"softplus", SoftplusOperator::function(1, 20),
       [](A& a) { at::softplus_out(a.output, a.input); }, "at::softplus_out",
       [](A& a) { return at::softplus_backward_out(a.grad_input, a.grad_output, a.input, 1, 20); },
       "at::softplus_backward_out"},
      {"log_sigmoid", LogSigmoidOperator::function(),
       [](A& a) { at::log_sigmoid_forward_out(a.output, a.saved[0], a.input); },
       "at::log_sigmoid_forward_out",
       [](A& a) {
         return at::log_sigmoid_backward_out(a.grad_input, a.grad_output, a.input, a.saved[0]);
       },
       "at::log_sigmoid_backward_out", &prepare_log_sigmoid},
      {"softsign", SoftsignOperator::function(), &softsign_forward, "x / (|x| + 1)",
       &softsign_backward, "autograd of x / (|x| + 1) in 8 out forms", &prepare_softsign},
      {"squared_relu", SquaredReluOperator::function(), &squared_relu_forward,
       "relu, square in 2 out forms", &squared_relu_backward,
       "autograd of square(relu(x)) in 3 out forms", &prepare_squared_relu},
      {"leaky_relu", LeakyReluOperator::function(0.01),
       [](A& a) { at::leaky_relu_out(a.output, a.input); }, "at::leaky_relu_out",
       [](A& a) {
         return at::leaky_relu_backward_out(a.grad_input, a.grad_output, a.input, 0.01,
                                            /*self_is_result=*/false);
       },
       "at::leaky_relu_backward_out"},
      {"hardsigmoid", HardsigmoidOperator::function(),
       [](A& a) { at::hardsigmoid_out(a.output, a.input); }, "at::hardsigmoid_out",
       [](A& a) { return at::hardsigmoid_backward_out(a.grad_input, a.grad_output, a.input); },
       "at::hardsigmoid_backward_out"},
      {"hardtanh", HardtanhOperator::function(-1, 1),
       [](A& a) { at::hardtanh_out(a.output, a.input); }, "at::hardtanh_out",
       [](A& a) { return at::hardtanh_backward_out(a.grad_input, a.grad_output, a.input, -1, 1); },
       "at::hardtanh_backward_out"},
      {"relu6", Relu6Operator::function(), [](A& a) { at::hardtanh_out(a.output, a.input, 0, 6); },
       "at::hardtanh_out",
       [](A& a) { return at::hardtanh_backward_out(a.grad_input, a.grad_output, a.input, 0, 6); },
       "at::hardtanh_backward_out"},
  };
}

}  // namespace

const std::vector<BenchOperator>& bench_operators() {
  static const std::vector<BenchOperator> kOperators = [] {
    std::vector<BenchOperator> operators = make_operators();
    for (BenchOperator& op : row_operators()) operators.push_back(std::move(op));
    return operators;
  }();
  return kOperators;
}

Arrays make_arrays(at::ScalarType dtype, int64_t count, at::Device device) {
  at::manual_seed(1);
  const auto normal = [&] {
    return at::randn({count}, at::TensorOptions(device).dtype(at::kFloat)).to(dtype);
  };
  Arrays arrays;
  arrays.input = normal();
  arrays.grad_output = normal();
  arrays.output = at::zeros_like(arrays.input);
  arrays.grad_input = at::zeros_like(arrays.input);
  return arrays;
}

void prepare(const BenchOperator& op, Arrays& arrays) {
  arrays.branch = at::Tensor();
  arrays.saved = {};
  arrays.scratch = {};
  if (op.function && op.has_own_forward()) {
    const int64_t bytes = kernels::branch_byte_count(*op.function, arrays.input.numel());
    arrays.branch = at::zeros({bytes}, arrays.input.options().dtype(at::kByte));
  }
  if (op.prepare_aten_backward != nullptr) op.prepare_aten_backward(arrays);
  // What our backward reads.
  if (op.has_own_forward()) {
    invact_forward(op, arrays);
  } else {
    op.aten_forward(arrays);
  }
}

void invact_forward(const BenchOperator& op, Arrays& arrays) {
  if (op.own_forward != nullptr) return op.own_forward(arrays);
  using Signature = std::tuple<at::Tensor&, at::Tensor&>(const at::Tensor&, std::string_view,
                                                         at::Tensor&, at::Tensor&);
  static const auto kHandle = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("invact::_activation_forward", "out")
                                  .typed<Signature>();
  kHandle.call(arrays.input, kernels::function_name(*op.function), arrays.output, arrays.branch);
}

void invact_backward(const BenchOperator& op, Arrays& arrays) {
  if (op.own_backward != nullptr) return op.own_backward(arrays);
  using Signature =
      at::Tensor&(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                  std::string_view, at::ArrayRef<double>, at::Tensor&);
  static const auto kHandle = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("invact::_activation_backward", "grad_input")
                                  .typed<Signature>();
  const std::vector<double> parameters = kernels::function_parameters(*op.function);
  kHandle.call(arrays.grad_output, arrays.output,
               arrays.branch.defined() ? std::optional(arrays.branch) : std::nullopt,
               kernels::function_name(*op.function), parameters, arrays.grad_input);
}

}  // namespace invact::bench
