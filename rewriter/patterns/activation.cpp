#include "rewriter/patterns/activation.h"

#include <torch/csrc/jit/ir/constants.h>

namespace invact {
namespace {

/// The value of the constant string argument `approximate`; "" where the operator has none; none
/// where it is no constant.
std::optional<std::string> constant_variant(torch::jit::Node* node) {
  const auto* const schema = node->maybeSchema();
  if (!schema) return std::nullopt;
  const auto index = schema->argumentIndexWithName("approximate");
  if (!index) return "";
  const auto value = torch::jit::toIValue(node->input(*index));
  if (!value || !value->isString()) return std::nullopt;
  return value->toStringRef();
}

/// The numbers behind `self`, in the schema's order; none where one of them is no constant.
std::optional<std::vector<double>> constant_parameters(torch::jit::Node* node) {
  std::vector<double> parameters;
  for (torch::jit::Value* const input : node->inputs().slice(1)) {
    const auto value = torch::jit::toIValue(input);
    if (!value || !value->isScalar()) return std::nullopt;
    parameters.push_back(value->toScalar().toDouble());
  }
  return parameters;
}

std::optional<bool> is_invertible(const kernels::Activation& activation, torch::jit::Node* node) {
  if (!activation.is_invertible) return true;
  const auto parameters = constant_parameters(node);
  if (!parameters) return std::nullopt;
  return activation.is_invertible(*parameters);
}

}  // namespace

std::optional<ActivationMatch> match_activation(torch::jit::Node* node) {
  const std::string op = node->kind().toQualString();
  if (!kernels::is_activation(op)) return std::nullopt;
  ActivationMatch match;
  match.op = op;
  match.node = node;
  if (const auto variant = constant_variant(node)) {
    match.activation = kernels::find_activation(op, *variant);
  }
  if (match.activation) match.is_invertible = is_invertible(*match.activation, node);
  return match;
}

}  // namespace invact
