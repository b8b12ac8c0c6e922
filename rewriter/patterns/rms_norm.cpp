#include "rewriter/patterns/rms_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "rewriter/patterns/norm.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Value;

std::optional<double> constant_number(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  if (!constant) return std::nullopt;
  if (constant->isScalar()) return constant->toScalar().toDouble();
  if (constant->isTensor() && constant->toTensor().numel() == 1) {
    return constant->toTensor().item<double>();
  }
  return std::nullopt;
}

bool is_constant(const Value* value, double number) {
  return constant_number(value) == number;
}

/// [-1]
bool is_last_dimension(const Value* list) {
  if (const auto constant = torch::jit::constant_as<c10::List<int64_t>>(list)) {
    return constant->vec() == std::vector<int64_t>{-1};
  }
  const Node* const node = list->node();
  return node->kind() == torch::jit::prim::ListConstruct && node->inputs().size() == 1 &&
         is_constant(node->input(0), -1);
}

bool is_op(const Node* node, std::string_view op) {
  return node->kind().toQualString() == op;
}

/// A cast's target: a dtype, or another tensor's; none where the node is no plain cast.
std::optional<MatchArgument> cast_target(Node* node) {
  if (is_op(node, "aten::type_as")) return DtypeOf{{node, 1}};
  if (!is_op(node, "aten::to") || node->inputs().size() < 4) return std::nullopt;
  const auto type = node->input(1)->type();
  // Behind a dtype and behind a tensor alike: non_blocking, copy, and perhaps a memory format.
  if (type->isSubtypeOf(*c10::TensorType::get())) return DtypeOf{{node, 1}};
  if (type->kind() == c10::TypeKind::IntType) return NodeInput{node, 1};
  return std::nullopt;
}

bool is_float_cast(const Node* node) {
  return is_op(node, "aten::to") && node->inputs().size() >= 4 &&
         node->input(1)->type()->kind() == c10::TypeKind::IntType &&
         is_constant(node->input(1), static_cast<double>(at::kFloat));
}

/// Reads the pattern backwards from its result, noting every node that belongs to it.
class Reader {
 public:
  Reader(Node* root, const InlinedModel& inlined) : root_(root), inlined_(inlined) {}

  /// The node that makes `value`, where it stands in the same code; it belongs to the pattern then.
  Node* take(const Value* value, std::string_view op) {
    Node* const node = const_cast<Node*>(value->node());
    if (!is_op(node, op) || !inlined_.same_code(*node, *root_)) return nullptr;
    if (std::find(nodes_.begin(), nodes_.end(), node) == nodes_.end()) nodes_.push_back(node);
    return node;
  }

  void take_root() { nodes_.push_back(root_); }

  bool is_ours(const Value* value) const { return inlined_.same_code(*value->node(), *root_); }

  /// In the order of running; none where another node reads what they make.
  std::optional<std::vector<Node*>> finish() {
    const std::unordered_set<const Node*> members(nodes_.begin(), nodes_.end());
    for (const Node* const node : nodes_) {
      if (node == root_) continue;
      for (const auto& use : node->output()->uses()) {
        if (!members.contains(use.user)) return std::nullopt;
      }
    }
    std::sort(nodes_.begin(), nodes_.end(),
              [](const Node* a, const Node* b) { return a != b && a->isBefore(b); });
    return nodes_;
  }

 private:
  Node* root_;
  const InlinedModel& inlined_;
  std::vector<Node*> nodes_;
};

struct Parts {
  NodeInput input;
  NodeInput weight;
  std::optional<MatchArgument> eps;
  double weight_offset = 0;
  MatchArgument normalized_dtype = c10::IValue();
  MatchArgument output_dtype = c10::IValue();
  bool casts_to_float = false;
};

/// The two inputs of a product, in both orders.
std::vector<std::pair<size_t, size_t>> orders() {
  return {{0, 1}, {1, 0}};
}

/// rsqrt(mean(square(x32), -1, keepdim) + eps): its x32 is read by the node that is returned.
std::optional<NodeInput> read_reciprocal_root(Reader& reader, const Value* value, Parts& parts) {
  Node* const rsqrt = reader.take(value, "aten::rsqrt");
  Node* const add = rsqrt ? reader.take(rsqrt->input(0), "aten::add") : nullptr;
  if (!add || add->inputs().size() != 3 || !is_constant(add->input(2), 1)) return std::nullopt;
  if (const auto eps = constant_number(add->input(1))) {
    parts.eps = c10::IValue(*eps);
  } else if (add->input(1)->type()->kind() == c10::TypeKind::FloatType) {
    parts.eps = NodeInput{add, 1};
  } else {
    return std::nullopt;
  }
  Node* const mean = reader.take(add->input(0), "aten::mean");
  if (!mean || mean->inputs().size() != 4 || !is_constant(mean->input(2), 1)) {
    return std::nullopt;
  }
  if (!is_last_dimension(mean->input(1)) || !mean->input(3)->mustBeNone()) return std::nullopt;
  if (Node* const power = reader.take(mean->input(0), "aten::pow")) {
    if (!is_constant(power->input(1), 2)) return std::nullopt;
    return NodeInput{power, 0};
  }
  if (Node* const square = reader.take(mean->input(0), "aten::square")) return NodeInput{square, 0};
  if (Node* const product = reader.take(mean->input(0), "aten::mul")) {
    if (product->input(0) == product->input(1)) return NodeInput{product, 0};
  }
  return std::nullopt;
}

/// x32 * the reciprocal root of its mean square.
bool read_normalized(Reader& reader, Node* product, Parts& parts) {
  for (const auto& [x, root] : orders()) {
    if (!is_op(product->input(root)->node(), "aten::rsqrt")) continue;
    const auto squared = read_reciprocal_root(reader, product->input(root), parts);
    if (!squared) return false;
    const Value* const x32 = squared->value();
    parts.input = *squared;
    if (is_float_cast(x32->node())) {
      parts.casts_to_float = true;
      // A trace lets the residual, too, read what a cast that changed nothing returned.
      const bool is_read_inside =
          std::all_of(x32->uses().begin(), x32->uses().end(), [&](const torch::jit::Use& use) {
            return use.user == squared->node || use.user == product;
          });
      if (is_read_inside && reader.is_ours(x32)) {
        parts.input = {reader.take(x32, "aten::to"), 0};
      }
    }
    // T5 multiplies the input itself: promotion makes it float32.
    const Value* const factor = product->input(x);
    return factor == x32 || factor == parts.input.value();
  }
  return false;
}

/// weight, or offset + weight.float().
bool read_weight(Reader& reader, NodeInput use, Parts& parts) {
  parts.weight = use;
  Node* const node = use.value()->node();
  if (!is_op(node, "aten::add") || !reader.is_ours(use.value())) return true;
  if (node->inputs().size() != 3 || !is_constant(node->input(2), 1)) return false;
  const auto offset = constant_number(node->input(1));
  if (!offset) return false;
  reader.take(use.value(), "aten::add");
  parts.weight_offset = *offset;
  parts.weight = {node, 0};
  Node* const cast = node->input(0)->node();
  if (is_float_cast(cast) && reader.is_ours(node->input(0))) {
    reader.take(node->input(0), "aten::to");
    parts.weight = {cast, 0};
  }
  return true;
}

/// weight * n, n cast or not.
bool read_product(Reader& reader, Node* product, Parts& parts) {
  for (const auto& [weight, normalized] : orders()) {
    const Value* value = product->input(normalized);
    Node* const cast = reader.is_ours(value) && cast_target(product->input(normalized)->node())
                           ? product->input(normalized)->node()
                           : nullptr;
    if (cast) value = cast->input(0);
    const Node* const made = value->node();
    const bool is_normalized =
        is_op(made, "aten::mul") &&
        std::any_of(made->inputs().begin(), made->inputs().end(),
                    [](const Value* input) { return is_op(input->node(), "aten::rsqrt"); });
    if (!is_normalized || !reader.is_ours(value)) continue;
    if (cast) {
      reader.take(cast->output(), cast->kind().toQualString());
      parts.normalized_dtype = *cast_target(cast);
    }
    return read_normalized(reader, reader.take(value, "aten::mul"), parts) &&
           read_weight(reader, {product, weight}, parts);
  }
  return false;
}

bool read_pattern(Reader& reader, Node* root, Parts& parts) {
  reader.take_root();
  if (is_op(root, "aten::mul")) return read_product(reader, root, parts);
  const auto target = cast_target(root);
  if (!target) return false;
  parts.output_dtype = *target;
  Node* const product = reader.take(root->input(0), "aten::mul");
  return product && read_product(reader, product, parts);
}

}  // namespace

std::optional<Match> match_rms_norm(Node* root, const InlinedModel& inlined,
                                    const MatchContext& context) {
  if (!inlined.origin(*root)) return std::nullopt;
  Reader reader(root, inlined);
  Parts parts;
  if (!read_pattern(reader, root, parts)) return std::nullopt;
  const auto nodes = reader.finish();
  const auto weight = known_tensor(parts.weight.value(), context.top);
  if (!nodes || !weight || !weight->defined() || weight->dim() != 1) return std::nullopt;
  Match match;
  match.op = "written-out rms_norm";
  match.aliases = {"rms_norm", "rms_norm_cast"};
  match.nodes = *nodes;
  match.replacement = "invact::rms_norm_cast";
  match.strategy = "output";
  match.arguments = {parts.input,
                     c10::IValue(std::vector<int64_t>{weight->size(0)}),
                     parts.weight,
                     *parts.eps,
                     c10::IValue(parts.weight_offset),
                     parts.normalized_dtype,
                     parts.output_dtype};
  match.gain =
      "keeps its output, which is kept anyway, and a number per row instead of what its parts keep";
  match.saved_instead =
      [weight = *weight, offset = parts.weight_offset, casts = parts.casts_to_float](
          const OperatorCall& call, const Report&) -> std::variant<SavedInstead, Rejection> {
    const TensorFacts& output = call.output_tensor;
    if (!casts && output.dtype != "float32") {
      return Rejection{"dtype_unknown", "computes in another dtype than float32"};
    }
    if (auto rejection = check_recoverable(weight, {}, offset, output)) {
      return *std::move(rejection);
    }
    return SavedInstead{call.output, row_count(output, 1) * static_cast<int64_t>(sizeof(float))};
  };
  return match;
}

}  // namespace invact
