// Whether a chain that runs as one operator leaves the order alone in which gradients are added up.
#include <algorithm>
#include <vector>

#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/segments.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Use;
using torch::jit::Value;

bool is_member(const Region& region, const Node* node) {
  return std::ranges::count(region.nodes, node) > 0;
}

/// Somebody's call shows that no gradient goes to `value`.
bool takes_no_gradient(const Value* value, const ObservedGraph& observed) {
  if (value->node()->kind() == torch::jit::prim::Constant) return true;
  return std::ranges::any_of(value->uses(), [&observed](const Use& use) {
    const OperatorCall* const call = use.offset == 0 ? observed.call(use.user) : nullptr;
    return call && !call->inputs.empty() && !call->input_requires_grad;
  });
}

}  // namespace

bool keeps_gradient_order(const Region& region, const ObservedGraph& observed,
                          const ChainEnds& ends) {
  const auto* const block = region.output()->owningBlock();
  return std::ranges::all_of(region.inputs, [&](const Value* input) {
    if (takes_no_gradient(input, observed)) return true;
    const Node* const first = first_reader(region.nodes, input);
    return std::ranges::all_of(input->uses(), [&](const Use& use) {
      if (is_member(region, use.user) || reads_no_memory(use.user)) return true;
      // Whether the reader's own chain is run as one is not decided yet.
      const auto end = ends.find(use.user);
      const Node* const reader = within(block, use.user);
      const Node* const last = end == ends.end() ? reader : within(block, end->second);
      if (!reader || !last) return false;
      return (reader->isBefore(first) && last->isBefore(first)) ||
             (reader->isAfter(region.output()) && last->isAfter(region.output()));
    });
  });
}

}  // namespace invact
