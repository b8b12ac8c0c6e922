#include "rewriter/graph/metadata_readers.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/catalog.h"
#include "rewriter/graph/graph_nodes.h"
#include "rewriter/graph/operator_roles.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

/// A parameter, or a view of one that constants shape.
bool is_fixed(const Value* value) {
  if (is_parameter_or_constant(value)) return true;
  const Node* const node = value->node();
  if (node->kind() == prim::ListConstruct || operator_role(node) == OperatorRole::kView) {
    return std::ranges::all_of(node->inputs(), [](const Value* input) { return is_fixed(input); });
  }
  return false;
}

/// Whether what is_fixed() is so in the code of `node`, too.
bool stands_beside(const Value* value, const Node* node, const InlinedModel& inlined) {
  const Node* const maker = value->node();
  if (maker->kind() == prim::Constant) return true;
  if (maker->kind() == prim::GetAttr) return inlined.same_code(*maker, *node);
  return std::ranges::all_of(
      maker->inputs(), [&](const Value* input) { return stands_beside(input, node, inlined); });
}

/// Sizes of what is_fixed().
std::optional<std::vector<int64_t>> fixed_sizes(Value* value, const InlinedModel& inlined,
                                                const ObservedGraph& observed) {
  if (const auto tensor = known_tensor(value, inlined.model())) return tensor->sizes().vec();
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
  if (operator_role(node) == OperatorRole::kWrite) return true;
  const std::string_view name = node->kind().toQualString();
  const auto is_named = [name](const kernels::Activation& row) { return row.aten_op == name; };
  return std::ranges::any_of(kernels::activations(), is_named) ||
         std::ranges::count(kernels::output_saving_activations(), name) > 0;
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

/// Also under autocast, which has layer norm and others compute in float32.
bool keeps_dtype(const Node* node) {
  return node->kind() == aten::batch_norm || node->kind() == aten::dropout ||
         node->kind() == aten::relu || operator_role(node) == OperatorRole::kWrite;
}

/// The dimensions whose sizes `consumer`, an aten::size, asks for; none where it may be all.
std::optional<std::vector<int64_t>> asked_dims(const Node* consumer) {
  std::vector<int64_t> dims;
  const auto add = [&dims](const Value* value) {
    const auto dim = torch::jit::toIValue(value);
    if (!dim || !dim->isInt()) return false;
    dims.push_back(dim->toInt());
    return true;
  };
  if (consumer->inputs().size() == 2)
    return add(consumer->input(1)) ? std::optional(dims) : std::nullopt;
  const bool are_known = std::ranges::all_of(consumer->output()->uses(), [&add](const auto& use) {
    return use.user->kind() == aten::__getitem__ && add(use.user->input(1));
  });
  return are_known ? std::optional(dims) : std::nullopt;
}

}  // namespace

Value* same_sizes_before(Value* value, const std::unordered_set<Node*>& members) {
  while (value && members.contains(value->node())) value = argument_of_same_sizes(value->node());
  return value;
}

bool reads_only_metadata(const Node* node) {
  switch (node->kind()) {
    case aten::size:
    case aten::dim:
    case prim::device:
    case prim::dtype:
    case aten::new_empty:
      return true;
    default:
      return false;
  }
}

bool metadata_is_that_of_argument(const Node* consumer, const Node* maker,
                                  const InlinedModel& inlined, const ObservedGraph& observed) {
  Value* const argument = argument_of_same_sizes(maker);
  if (!argument || !reads_only_metadata(consumer)) return false;
  if (consumer->kind() == prim::dtype || consumer->kind() == aten::new_empty)
    return keeps_dtype(maker);
  if (keeps_sizes(maker)) return true;
  Value* const other = maker->input(argument == maker->input(0) ? 1 : 0);
  if (!is_tensor(other)) return true;
  // A parameter that is handed over as an argument is known as one only here.
  if (!stands_beside(other, maker, inlined)) return false;
  if (consumer->kind() == prim::device) return true;
  const OperatorCall* const call = observed.call(maker);
  const auto fixed = fixed_sizes(other, inlined, observed);
  if (!call || !fixed) return false;
  const auto rank = static_cast<int64_t>(call->output_tensor.shape.size());
  const auto fixed_rank = static_cast<int64_t>(fixed->size());
  if (fixed_rank > rank) return false;
  if (consumer->kind() == aten::dim) return true;
  const auto dims = asked_dims(consumer);
  return dims && std::ranges::all_of(*dims, [&](int64_t dim) {
           // Counted from the last one, as sizes are aligned.
           const int64_t from_end = dim < 0 ? -dim : rank - dim;
           return from_end > fixed_rank ||
                  fixed->at(static_cast<size_t>(fixed_rank - from_end)) == 1;
         });
}

}  // namespace invact
