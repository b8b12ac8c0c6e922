#include "rewriter/regions/size_readers.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/catalog.h"
#include "rewriter/patterns/match.h"
#include "rewriter/regions/chain_nodes.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
using torch::jit::Module;
using torch::jit::Node;
using torch::jit::Value;

/// A parameter, or a view of one that constants shape.
bool is_fixed(const Value* value) {
  const Node* const node = value->node();
  if (node->kind() == prim::GetAttr || node->kind() == prim::Constant) return true;
  if (node->kind() == prim::ListConstruct || chain_role(node) == ChainRole::kView) {
    return std::ranges::all_of(node->inputs(), [](const Value* input) { return is_fixed(input); });
  }
  return false;
}

/// Sizes of what is_fixed().
std::optional<std::vector<int64_t>> fixed_sizes(Value* value, const ObservedGraph& observed,
                                                const Module& top) {
  if (const auto tensor = known_tensor(value, top)) return tensor->sizes().vec();
  const OperatorCall* const view = observed.call(value->node());
  return view ? std::optional(view->output_tensor.shape) : std::nullopt;
}

bool is_elementwise_pair(const Node* node) {
  switch (node->kind()) {
    case aten::add:
    case aten::sub:
    case aten::mul:
    case aten::div:
      return node->inputs().size() >= 2;
    default:
      return false;
  }
}

bool keeps_sizes(const Node* node) {
  switch (node->kind()) {
    case aten::batch_norm:
    case aten::instance_norm:
    case aten::group_norm:
    case aten::layer_norm:
    case aten::rms_norm:
    case aten::dropout:
      return true;
    default:
      break;
  }
  if (chain_role(node) == ChainRole::kWrite) return true;
  const std::string_view name = node->kind().toQualString();
  const auto is_named = [name](const kernels::Activation& row) { return row.aten_op == name; };
  return std::ranges::any_of(kernels::activations(), is_named) ||
         std::ranges::count(kernels::output_keeping_activations(), name) > 0;
}

/// The argument whose sizes the result has; of two tensors the one that is not fixed, which the
/// other may widen.
Value* argument_of_same_sizes(const Node* node) {
  if (keeps_sizes(node)) return node->input(0);
  if (!is_elementwise_pair(node)) return nullptr;
  Value* const left = node->input(0);
  Value* const right = node->input(1);
  if (!is_tensor(right) || is_fixed(right)) return left;
  return is_fixed(left) ? right : nullptr;
}

}  // namespace

Value* same_sizes_before(Value* value, const std::unordered_set<Node*>& members) {
  while (value && members.contains(value->node())) value = argument_of_same_sizes(value->node());
  return value;
}

bool asks_for_sizes(const Node* node) {
  return node->kind() == aten::size || node->kind() == aten::dim;
}

bool argument_tells(const Node* reader, const Node* maker, const ObservedGraph& observed,
                    const Module& top) {
  if (!asks_for_sizes(reader)) return false;
  Value* const argument = argument_of_same_sizes(maker);
  if (!argument || keeps_sizes(maker)) return argument != nullptr;
  Value* const other = maker->input(argument == maker->input(0) ? 1 : 0);
  if (!is_tensor(other)) return true;
  const OperatorCall* const call = observed.call(maker);
  const auto sizes = fixed_sizes(other, observed, top);
  if (!call || !sizes || sizes->size() > call->output_tensor.shape.size()) return false;
  if (reader->kind() == aten::dim) return true;
  const auto dim =
      reader->inputs().size() == 2 ? torch::jit::toIValue(reader->input(1)) : std::nullopt;
  if (!dim || !dim->isInt()) return false;
  // Counted from the last one, as sizes are aligned.
  const auto rank = static_cast<int64_t>(call->output_tensor.shape.size());
  const int64_t from_end = dim->toInt() < 0 ? -dim->toInt() : rank - dim->toInt();
  const auto fixed_rank = static_cast<int64_t>(sizes->size());
  return from_end > fixed_rank || sizes->at(static_cast<size_t>(fixed_rank - from_end)) == 1;
}

}  // namespace invact
