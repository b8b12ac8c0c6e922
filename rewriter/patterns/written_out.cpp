#include "rewriter/patterns/written_out.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "analyzer/model/model.h"
#include "rewriter/patterns/activation.h"
#include "rewriter/patterns/norm.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// More than any known spelling has; ends the search in long segments of elementwise operators.
constexpr size_t kMostNodes = 24;

/// Every input is a constant, a tensor or a tensor's dtype.
bool has_plain_inputs(const Node* node) {
  return std::all_of(node->inputs().begin(), node->inputs().end(), [](const Value* input) {
    return plain_constant(input) || tensor_of_dtype(input) != nullptr ||
           (is_tensor(input) && !torch::jit::toIValue(input));
  });
}

struct LaterFirst {
  bool operator()(const Node* a, const Node* b) const { return a != b && a->isAfter(b); }
};

/// Where the first of `nodes` that reads `value` reads it.
NodeInput first_use(const std::vector<Node*>& nodes, const Value* value) {
  for (Node* const node : nodes) {
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      if (node->input(i) == value) return {node, i};
    }
  }
  return {};
}

/// The part of `within` from `input` to `root`; none where it reads another tensor, or a node
/// else reads what it makes.
std::vector<Node*> between(const Value* input, Node* root, const std::vector<Node*>& within) {
  const std::unordered_set<const Node*> allowed(within.begin(), within.end());
  std::set<Node*, LaterFirst> pending = {root};
  std::unordered_set<const Node*> members;
  std::vector<Node*> nodes;
  while (!pending.empty()) {
    Node* const node = *pending.begin();
    pending.erase(pending.begin());
    const auto uses = node->output()->uses();
    const bool only_read_inside =
        node == root || std::all_of(uses.begin(), uses.end(), [&](const torch::jit::Use& use) {
          return members.contains(use.user);
        });
    if (!only_read_inside) return {};
    members.insert(node);
    nodes.push_back(node);
    if (may_write(node) && node->input(0) == input) return {};
    for (const Value* const argument : node->inputs()) {
      if (argument == input || plain_constant(argument)) continue;
      if (const Value* const tensor = tensor_of_dtype(argument)) {
        if (tensor != input) return {};
        continue;
      }
      if (!allowed.contains(argument->node())) return {};
      pending.insert(const_cast<Node*>(argument->node()));
    }
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

/// The name that users know it by: erf_gelu is gelu's operator for this spelling.
std::string function_name(const kernels::Activation& activation) {
  const std::string name = unqualified(std::string(activation.invact_op));
  return name == "erf_gelu" ? "gelu" : name;
}

std::string rounding_note(const Match& match, const Recognized& recognized) {
  std::vector<std::string> bounds;
  bool differs = false;
  for (const DtypeComparison& dtype : recognized.dtypes) {
    // Of float64 the digits of the model's constants say more than roundings.
    if (dtype.dtype == at::kDouble || !dtype.is_close()) continue;
    differs |= dtype.ulp > 0;
    bounds.push_back(fmt::format("{:.2g} ({})", dtype.ulp, dtype_name(dtype.dtype)));
  }
  if (!differs) return "";
  return fmt::format(
      "{} becomes {}, whose results lie within {} units in the last place of max(|input|, "
      "|result|) of the written-out ones.",
      match.op, match.replacement, fmt::join(bounds, ", "));
}

Rejection other_values(const kernels::Activation& activation, const DtypeComparison& dtype) {
  if (!dtype.same_dtype || dtype.dtype == at::kDouble) {
    return {"other_values", fmt::format("its {} results are not computed, or not given, in {}",
                                        dtype_name(dtype.dtype), dtype_name(dtype.dtype))};
  }
  return {"other_values",
          fmt::format("its constants or roundings are others: its {} results lie up to {:.2g} "
                      "units in the last place from {}'s",
                      dtype_name(dtype.dtype), dtype.ulp, activation.invact_op)};
}

/// The dtype of what the node that stands at `frames` read first, in the execution that ended with
/// `output`; none where no operator made it.
std::optional<at::ScalarType> dtype_read(const std::vector<CodeRange>& frames,
                                         const OperatorCall& output, const Report& report) {
  std::optional<StorageId> read;
  for (int64_t id = output.id.value; id >= 0; --id) {
    const OperatorCall& call = report.call({id});
    if (read && call.output == read) return operator_dtype(call.output_tensor);
    const bool is_reader = !read && !call.inputs.empty() &&
                           call.module_path == output.module_path && call.method == output.method &&
                           frames.size() <= call.frames.size() &&
                           std::equal(frames.begin(), frames.end(), call.frames.begin());
    if (is_reader) read = call.inputs.front();
  }
  return std::nullopt;
}

/// Saves what the function's operator saves, in the dtypes in which it may stand for the
/// expression.
void save_where_close(const Recognized& recognized, const std::vector<CodeRange>& consumer,
                      Match& match) {
  const auto& in_float32 = *recognized.in(at::kFloat);
  const bool none_below_float64 = std::ranges::none_of(recognized.dtypes, [](const auto& dtype) {
    return dtype.dtype != at::kDouble && dtype.is_close();
  });
  if (none_below_float64) {
    match.refusal = other_values(*recognized.activation, in_float32);
  }
  const bool has_inputs_dtype =
      std::ranges::all_of(recognized.dtypes, &DtypeComparison::same_dtype);
  match.saved_instead = [recognized, consumer, has_inputs_dtype,
                         by_operator = std::move(match.saved_instead)](
                            const OperatorCall& output,
                            const Report& report) -> std::variant<SavedInstead, Rejection> {
    if (!operator_dtype(output.output_tensor)) return other_dtype(output.output_tensor);
    // Where the code names a dtype, the input's may be another than the result's.
    const auto input = has_inputs_dtype ? operator_dtype(output.output_tensor)
                                        : dtype_read(consumer, output, report);
    const DtypeComparison* const dtype = recognized.in(input.value_or(at::kDouble));
    if (!dtype->is_close()) return other_values(*recognized.activation, *dtype);
    return by_operator(output, report);
  };
}

}  // namespace

std::vector<Node*> WrittenOutActivations::largest_expression(Node* root) const {
  std::set<Node*, LaterFirst> pending = {root};
  std::unordered_set<const Node*> members;
  std::vector<Node*> nodes;
  while (!pending.empty() && nodes.size() < kMostNodes) {
    Node* const node = *pending.begin();
    pending.erase(pending.begin());
    const auto is_read_inside = [&members](const torch::jit::Use& use) {
      return members.contains(use.user);
    };
    const auto joins_root = [&] {
      const auto& uses = node->output()->uses();
      return inlined_.same_code(*node, *root) &&
             std::all_of(uses.begin(), uses.end(), is_read_inside);
    };
    const bool joins =
        is_elementwise(node) && has_plain_inputs(node) && (node == root || joins_root());
    if (!joins) continue;
    members.insert(node);
    nodes.push_back(node);
    for (Value* const argument : node->inputs()) {
      if (is_tensor(argument) && !plain_constant(argument)) pending.insert(argument->node());
    }
  }
  std::reverse(nodes.begin(), nodes.end());
  return nodes;
}

const Recognized& WrittenOutActivations::recognized(const Expression& expression) {
  const auto [found, fresh] = known_.try_emplace(description(expression));
  if (fresh) found->second = recognize(expression);
  return found->second;
}

std::optional<Match> WrittenOutActivations::match(Node* root) {
  if (!inlined_.origin(*root) || !is_elementwise(root)) return std::nullopt;
  const std::vector<Node*> nodes = largest_expression(root);
  if (nodes.size() < 2) return std::nullopt;
  std::vector<Expression> expressions;
  std::unordered_set<const Value*> tried;
  for (Node* const node : nodes) {
    for (Value* const argument : node->inputs()) {
      const bool is_other = plain_constant(argument) || tensor_of_dtype(argument) != nullptr;
      if (is_other || !tried.insert(argument).second) continue;
      Expression expression{between(argument, root, nodes), argument};
      if (expression.nodes.size() > 1) expressions.push_back(std::move(expression));
    }
  }
  std::stable_sort(expressions.begin(), expressions.end(),
                   [](const auto& a, const auto& b) { return a.nodes.size() > b.nodes.size(); });
  for (const Expression& expression : expressions) {
    const Recognized& found = recognized(expression);
    if (!found.activation) continue;
    const kernels::Activation& activation = *found.activation;
    Match match;
    match.nodes = expression.nodes;
    match.arguments = {first_use(expression.nodes, expression.input)};
    for (c10::IValue& value : arguments_behind_self(activation)) {
      match.arguments.emplace_back(std::move(value));
    }
    const std::string name = function_name(activation);
    match.op = "written-out " + name;
    match.aliases = {name, unqualified(std::string(activation.invact_op))};
    save_output(activation, match);
    match.rounding = rounding_note(match, found);
    save_where_close(found, inlined_.origin(*expression.nodes.front())->frames, match);
    return match;
  }
  return std::nullopt;
}

}  // namespace invact
