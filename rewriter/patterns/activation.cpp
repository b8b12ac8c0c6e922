#include "rewriter/patterns/activation.h"

#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

namespace invact {
namespace {

using torch::jit::Node;

/// The value of the constant string argument `approximate`; "" where the operator has none; none
/// where it is no constant.
std::optional<std::string> constant_variant(Node* node) {
  const auto* const schema = node->maybeSchema();
  if (!schema) return std::nullopt;
  const auto index = schema->argumentIndexWithName("approximate");
  if (!index) return "";
  const auto value = torch::jit::toIValue(node->input(*index));
  if (!value || !value->isString()) return std::nullopt;
  return value->toStringRef();
}

/// The numbers behind `self`, in the schema's order; none where one of them is no constant.
std::optional<std::vector<double>> constant_parameters(Node* node) {
  std::vector<double> parameters;
  for (torch::jit::Value* const input : node->inputs().slice(1)) {
    const auto value = torch::jit::toIValue(input);
    if (!value || !value->isScalar()) return std::nullopt;
    parameters.push_back(value->toScalar().toDouble());
  }
  return parameters;
}

/// Whether the derivative is a constant on each side of a threshold that the output shows.
bool is_exact(const kernels::DerivativeErrorBound& bound) {
  return bound.float64 == 0 && bound.float32 == 0 && bound.bfloat16 == 0 && bound.float16 == 0;
}

/// Where the library has no operator for these parameters, or they are only known at run time.
std::optional<Rejection> check_parameters(const kernels::Activation& activation, Node* node,
                                          const std::string& op) {
  if (!activation.is_invertible) return std::nullopt;
  const auto parameters = constant_parameters(node);
  if (!parameters) {
    return Rejection{"parameters_unknown",
                     fmt::format("a parameter of {} is decided at run time", op)};
  }
  if (activation.is_invertible(*parameters)) return std::nullopt;
  return Rejection{"not_invertible",
                   fmt::format("with these parameters of {} the output does not tell on which "
                               "side the input lay",
                               op)};
}

}  // namespace

void save_output(const kernels::Activation& activation, Match& match) {
  match.replacement = activation.invact_op;
  match.strategy = activation.strategy;
  if (is_exact(activation.error_bound) && !match.has_arguments()) {
    match.gradients = GradientBits::kSame;
  }
  match.saved_instead = [&activation](const OperatorCall& output,
                                      const Report&) -> std::variant<SavedInstead, Rejection> {
    if (!operator_dtype(output.output_tensor)) return other_dtype(output.output_tensor);
    if (activation.in_place && output.output && output.input_is_view) {
      return Rejection{"writes_view",
                       "writes a view of another tensor in place, whose storage cannot be kept as "
                       "the output"};
    }
    return SavedInstead{output.output,
                        kernels::branch_bytes(activation, output.output_tensor.element_count)};
  };
  match.gain = fmt::format("keeps its output, which is kept anyway, {}instead of {}",
                           activation.branch_bits_per_element > 0 ? "and branch bits " : "",
                           match.has_arguments() ? "what its parts keep" : "its input");
}

std::optional<Match> match_activation(Node* node) {
  const std::string op = node->kind().toQualString();
  if (!kernels::is_activation(op)) return std::nullopt;
  Match match;
  match.op = op;
  match.aliases = {unqualified(op)};
  match.nodes = {node};
  const auto variant = constant_variant(node);
  const auto* const activation = variant ? kernels::find_activation(op, *variant) : nullptr;
  if (!activation) {
    match.refusal = Rejection{"variant_unknown",
                              fmt::format("{}'s variant is not a constant that invact knows", op)};
    return match;
  }
  save_output(*activation, match);
  match.refusal = check_parameters(*activation, node, op);
  return match;
}

}  // namespace invact
