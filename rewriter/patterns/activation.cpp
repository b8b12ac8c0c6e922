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

}  // namespace

std::optional<ActivationMatch> match_activation(torch::jit::Node* node) {
  const std::string op = node->kind().toQualString();
  if (!kernels::is_activation(op)) return std::nullopt;
  ActivationMatch match{op, nullptr, node};
  if (const auto variant = constant_variant(node)) {
    match.activation = kernels::find_activation(op, *variant);
  }
  return match;
}

}  // namespace invact
