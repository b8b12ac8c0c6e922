#include "rewriter/recompute/copying_linear.h"

#include <torch/csrc/jit/ir/constants.h>

#include "rewriter/graph/operator_roles.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
using torch::jit::Node;
using torch::jit::Value;

/// The bias is a tensor or None, whatever the run.
bool has_known_bias(const Node* linear) {
  const Value* const bias = linear->input(2);
  return is_tensor(bias) || bias->mustBeNone();
}

}  // namespace

std::optional<CopyingLinear> copying_linear(const Node* view, const InlinedModel& inlined,
                                            const ObservedGraph& observed) {
  if (operator_role(view) != OperatorRole::kView) return std::nullopt;
  Node* const linear = only_consumer(view->output());
  if (!linear || linear->kind() != aten::linear || !has_known_bias(linear)) return std::nullopt;
  if (linear->owningBlock() != view->owningBlock() || !inlined.origin(*linear) ||
      !inlined.common_method_call({linear})) {
    return std::nullopt;
  }
  const OperatorCall* const made = observed.call(view);
  const OperatorCall* const read = observed.call(linear);
  // Of two dimensions LibTorch makes one operator with the bias, which reads any layout.
  if (!made || !read || made->output_tensor.shape.size() < 3) return std::nullopt;
  const auto copy = observed.own_copy(*read, made->output_tensor.bytes);
  if (!copy) return std::nullopt;
  return CopyingLinear{linear, {linear, 0}, *copy};
}

}  // namespace invact
