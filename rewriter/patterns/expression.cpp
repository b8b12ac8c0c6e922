#include "rewriter/patterns/expression.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "rewriter/graph/inlined_model.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// Largest |difference| / max(1, |x|) in float64: constants are often rounded, to six digits
/// (1.41421) at the worst, while any two functions of the library lie 4e-4 apart.
constexpr double kSameFunction = 1e-6;

/// In units of the last place of max(|x|, |y|): what roundings are worth.
constexpr double kSameForwardUlp = 2;

enum class Casts { kRun, kIgnored };

/// A node's argument that is no tensor made on the way: a constant, or the input's dtype.
c10::IValue other_argument(const Value* argument, const at::Tensor& x) {
  if (tensor_of_dtype(argument) != nullptr) return static_cast<int64_t>(x.scalar_type());
  return *plain_constant(argument);
}

struct Evaluation {
  at::Tensor result;
  bool changed_dtype = false;  ///< A cast did something.
  bool narrowed = false;       ///< To fewer digits, or a smaller range, than the input's.
};

/// Runs the nodes on `x` in place of the input.
Evaluation evaluate(const Expression& expression, const at::Tensor& x, Casts casts) {
  std::unordered_map<const Value*, at::Tensor> values = {{expression.input, x}};
  Evaluation evaluation;
  for (Node* const node : expression.nodes) {
    const bool is_cast = cast_target(node) != nullptr;
    if (is_cast && casts == Casts::kIgnored) {
      values[node->output()] = values.at(node->input(0));
      continue;
    }
    torch::jit::Stack stack;
    for (const Value* const argument : node->inputs()) {
      const auto made = values.find(argument);
      stack.push_back(made != values.end() ? c10::IValue(made->second)
                                           : other_argument(argument, x));
    }
    node->getOperation()(stack);
    const at::Tensor result = stack.back().toTensor();
    evaluation.changed_dtype |=
        is_cast && result.scalar_type() != values.at(node->input(0)).scalar_type();
    evaluation.narrowed |= is_cast && result.scalar_type() != x.scalar_type() &&
                           result.scalar_type() != at::kFloat &&
                           result.scalar_type() != at::kDouble;
    values[node->output()] = result;
  }
  evaluation.result = values.at(expression.nodes.back()->output());
  return evaluation;
}

at::Tensor evaluate(const kernels::Activation& activation, const at::Tensor& x) {
  torch::jit::Stack stack = {x};
  for (c10::IValue& value : arguments_behind_self(activation)) stack.push_back(std::move(value));
  c10::Dispatcher::singleton()
      .findSchemaOrThrow(std::string(activation.invact_op).c_str(), "")
      .callBoxed(&stack);
  return stack.back().toTensor();
}

/// From far left to far right, dense where the functions bend, with both zeros.
at::Tensor sample_points(at::ScalarType dtype) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  return at::cat({at::linspace(-60, 60, 2001, options), at::linspace(-12, 12, 8001, options),
                  at::linspace(-1e-2, 1e-2, 401, options),
                  at::tensor({0.0, -0.0, 1e-30, -1e-30}, options)})
      .to(dtype);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale) {
  if (a.sizes() != b.sizes()) return INFINITY;
  const at::Tensor difference = (a.to(at::kDouble) - b.to(at::kDouble)).abs() / scale;
  return difference.isnan().any().item<bool>() ? INFINITY : difference.max().item<double>();
}

struct Precision {
  int digits;  ///< Significant bits.
  double smallest_normal;
};
Precision precision_of(at::ScalarType dtype) {
  if (dtype == at::kDouble) return {53, 0x1p-1022};
  if (dtype == at::kBFloat16) return {8, 0x1p-126};
  if (dtype == at::kHalf) return {11, 0x1p-14};
  return {24, 0x1p-126};
}

/// Units of the last place of max(|x|, |b|).
double largest_ulp(const at::Tensor& a, const at::Tensor& b, const at::Tensor& x) {
  const Precision precision = precision_of(x.scalar_type());
  const at::Tensor magnitude =
      at::maximum(x.abs(), b.abs()).to(at::kDouble).clamp_min(precision.smallest_normal);
  return largest_difference(a, b, at::pow(2.0, magnitude.log2().floor() - (precision.digits - 1)));
}

DtypeComparison compare(const Expression& expression, const kernels::Activation& activation,
                        at::ScalarType dtype) {
  const at::Tensor x = sample_points(dtype);
  const Evaluation written = evaluate(expression, x, Casts::kRun);
  DtypeComparison comparison;
  comparison.dtype = dtype;
  comparison.same_dtype = written.result.scalar_type() == dtype;
  comparison.casts = written.changed_dtype;
  comparison.ulp = comparison.same_dtype && !written.narrowed
                       ? largest_ulp(evaluate(activation, x), written.result, x)
                       : INFINITY;
  return comparison;
}

Recognized compare(const Expression& expression, const kernels::Activation& activation) {
  Recognized recognized{&activation, {}};
  constexpr std::array kDtypes = {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf};
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    recognized.dtypes[i] = compare(expression, activation, kDtypes[i]);
  }
  return recognized;
}

const std::vector<const kernels::Activation*>& functions() {
  static const auto rows = [] {
    std::vector<const kernels::Activation*> found;
    for (const auto& row : kernels::activations()) {
      if (!row.in_place) found.push_back(&row);
    }
    for (const auto& row : kernels::written_out_activations()) found.push_back(&row);
    return found;
  }();
  return rows;
}

bool has_casts(const Expression& expression) {
  return std::ranges::any_of(expression.nodes,
                             [](const Node* node) { return cast_target(node) != nullptr; });
}

/// In some dtype the casts do something, and the operator may stand for the expression.
bool are_casts_part_of_it(const Recognized& recognized) {
  return std::ranges::any_of(recognized.dtypes, [](const DtypeComparison& dtype) {
    return dtype.casts && dtype.is_close();
  });
}

/// In more dtypes than another, or else with a smaller difference in the dtype of the largest.
bool is_closer(const Recognized& one, const Recognized& other) {
  const auto key = [](const Recognized& recognized) {
    int close_count = 0;
    double largest = 0;
    for (const DtypeComparison& dtype : recognized.dtypes) {
      if (dtype.dtype == at::kDouble || !dtype.same_dtype) continue;
      close_count += dtype.is_close() ? 1 : 0;
      largest = std::max(largest, dtype.ulp);
    }
    return std::pair(-close_count, largest);
  };
  return key(one) < key(other);
}

std::string constant_text(const c10::IValue& constant) {
  if (constant.isTensor()) {
    return fmt::format("{:.17g}:{}", constant.toTensor().item<double>(),
                       c10::toString(constant.toTensor().scalar_type()));
  }
  if (constant.isScalar()) return fmt::format("{:.17g}", constant.toScalar().toDouble());
  return constant.isString() ? constant.toStringRef() : std::string(1, '-');
}

}  // namespace

Value* cast_target(const Node* node) {
  const std::string op = node->kind().toQualString();
  // const_cast: ir.h gives a constant node's inputs as such, and patterns name values by pointer.
  if (op == "aten::type_as") return const_cast<Value*>(node->input(1));
  if (op != "aten::to" || node->inputs().size() < 4) return nullptr;
  const Value* const target = node->input(1);
  const bool is_dtype = target->type()->kind() == c10::TypeKind::IntType;
  // Behind both: non_blocking, copy, and perhaps a memory format.
  const bool keeps_layout = node->inputs().size() < 5 || node->input(4)->mustBeNone();
  const bool is_plain = node->inputs().size() <= 5 && keeps_layout;
  return is_plain && (is_dtype || is_tensor(target)) ? const_cast<Value*>(target) : nullptr;
}

bool is_elementwise(const Node* node) {
  static const std::set<std::string> operators = {
      "aten::abs",         "aten::add",        "aten::clamp",       "aten::clamp_min",
      "aten::div",         "aten::elu",        "aten::erf",         "aten::exp",
      "aten::expm1",       "aten::gelu",       "aten::hardsigmoid", "aten::hardswish",
      "aten::hardtanh",    "aten::leaky_relu", "aten::log",         "aten::log1p",
      "aten::log_sigmoid", "aten::mish",       "aten::mul",         "aten::neg",
      "aten::pow",         "aten::reciprocal", "aten::relu",        "aten::relu6",
      "aten::rsub",        "aten::selu",       "aten::sigmoid",     "aten::silu",
      "aten::softplus",    "aten::square",     "aten::sqrt",        "aten::sub",
      "aten::tanh"};
  if (!node->maybeSchema() || node->outputs().size() != 1 || !is_tensor(node->output())) {
    return false;
  }
  std::string op = node->kind().toQualString();
  if (may_write(node)) {
    // No other node sees what it overwrites: it computes what its namesake does.
    const bool is_in_place = op.ends_with('_') && node->input(0)->uses().size() == 1;
    if (!is_in_place || !is_elementwise(node->input(0)->node())) return false;
    op.pop_back();
  }
  return operators.contains(op) || cast_target(node) != nullptr;
}

std::optional<c10::IValue> plain_constant(const Value* value) {
  auto constant = torch::jit::toIValue(value);
  if (constant && constant->isTensor() && constant->toTensor().dim() > 0) return std::nullopt;
  return constant;
}

Value* tensor_of_dtype(const Value* value) {
  const Node* const node = value->node();
  return node->kind() == torch::jit::prim::dtype ? const_cast<Value*>(node->input()) : nullptr;
}

std::string description(const Expression& expression) {
  std::unordered_map<const Value*, std::string> names = {{expression.input, "x"}};
  std::string text;
  for (const Node* const node : expression.nodes) {
    text += node->kind().toUnqualString();
    for (const Value* const argument : node->inputs()) {
      const auto name = names.find(argument);
      if (name != names.end()) {
        text += fmt::format(",{}", name->second);
      } else if (tensor_of_dtype(argument) != nullptr) {
        text += ",dtype(x)";
      } else {
        text += fmt::format(",{}", constant_text(*plain_constant(argument)));
      }
    }
    names[node->output()] = fmt::format("%{}", names.size());
    text += ";";
  }
  return text;
}

bool DtypeComparison::is_close() const {
  // In float64 the digits of a model's constants decide, which recognize() has compared.
  if (dtype == at::kDouble) return same_dtype && !casts;
  return same_dtype && ulp <= kSameForwardUlp;
}

const DtypeComparison* Recognized::in(at::ScalarType dtype) const {
  const auto* const found = std::ranges::find(dtypes, dtype, &DtypeComparison::dtype);
  return found == dtypes.end() ? nullptr : found;
}

std::vector<c10::IValue> arguments_behind_self(const kernels::Activation& activation) {
  const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow(std::string(activation.invact_op).c_str(), "");
  std::vector<c10::IValue> values;
  for (size_t i = 1; i < op.schema().arguments().size(); ++i) {
    const c10::Argument& argument = op.schema().arguments()[i];
    const bool is_variant = argument.name() == "approximate";
    values.push_back(is_variant ? c10::IValue(std::string(activation.variant))
                                : *argument.default_value());
  }
  return values;
}

Recognized recognize(const Expression& expression) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = sample_points(at::kDouble);
  const at::Tensor y = evaluate(expression, x, Casts::kIgnored).result;
  Recognized closest;
  if (y.scalar_type() != at::kDouble) return closest;
  const at::Tensor scale = x.abs().clamp_min(1);
  for (const kernels::Activation* const activation : functions()) {
    if (!(largest_difference(evaluate(*activation, x), y, scale) <= kSameFunction)) continue;
    const Recognized recognized = compare(expression, *activation);
    if (closest.activation == nullptr || is_closer(recognized, closest)) closest = recognized;
  }
  if (has_casts(expression) && !are_casts_part_of_it(closest)) return {};
  return closest;
}

}  // namespace invact
