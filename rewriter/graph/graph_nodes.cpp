#include "rewriter/graph/graph_nodes.h"

#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "analyzer/model/module_paths.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

}  // namespace

void append_nodes_in_order(Node* node, std::vector<Node*>& nodes) {
  nodes.push_back(node);
  const auto append_block = [&nodes](Block* block) {
    for (Node* inner : block->nodes()) append_nodes_in_order(inner, nodes);
  };
  for (Block* block : node->blocks()) append_block(block);
  if (node->kind() == prim::fork) append_block(node->g(attr::Subgraph)->block());
}

std::vector<Node*> nodes_in_order(Graph& graph) {
  std::vector<Node*> nodes;
  for (Node* node : graph.nodes()) append_nodes_in_order(node, nodes);
  return nodes;
}

InsertedCode insert_code_before(Node* place, Graph& code, at::ArrayRef<Value*> inputs) {
  Node* const before = place->prev();
  const torch::jit::WithInsertPoint guard(place);
  InsertedCode inserted;
  inserted.outputs = torch::jit::insertGraph(*place->owningGraph(), code, inputs);
  for (Node* node = before->next(); node != place; node = node->next()) {
    append_nodes_in_order(node, inserted.nodes);
  }
  return inserted;
}

bool is_tensor(const Value* value) {
  return value->type()->isSubtypeOf(*c10::TensorType::get());
}

bool reads_no_memory(const Node* node) {
  switch (node->kind()) {
    case aten::size:
    case aten::dim:
    case prim::dtype:
    case prim::device:
    case prim::requires_grad:
    case prim::layout:
      return true;
    default:
      return false;
  }
}

Node* only_consumer(const Value* value) {
  Node* consumer = nullptr;
  for (const auto& use : value->uses()) {
    if (reads_no_memory(use.user)) continue;
    if (consumer || use.offset != 0) return nullptr;
    consumer = use.user;
  }
  return consumer;
}

const Node* within(const torch::jit::Block* block, const Node* node) {
  while (node && node->owningBlock() != block) node = node->owningBlock()->owningNode();
  return node;
}

const Node* first_consumer(const std::vector<Node*>& nodes, const Value* value) {
  return *std::ranges::find_if(
      nodes, [value](const Node* node) { return std::ranges::count(node->inputs(), value) > 0; });
}

bool may_write(const Node* node) {
  if (const auto* const schema = node->maybeSchema()) return schema->is_mutable();
  switch (node->kind()) {
    case prim::Constant:
    case prim::GetAttr:
    case prim::If:
    case prim::Loop:
    case prim::ListConstruct:
    case prim::ListUnpack:
    case prim::TupleConstruct:
    case prim::TupleUnpack:
    case prim::TupleIndex:
    case prim::DictConstruct:
      return false;
    default:
      return true;
  }
}

std::string graph_fingerprint(Graph& graph) {
  // FNV-1a, 64 bit: a guard against mistakes, not against forgery.
  uint64_t digest = 14695981039346656037ULL;
  const auto add = [&digest](std::string_view text) {
    for (const char letter : text) {
      digest = (digest ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
    }
  };
  const auto add_number = [&add](char mark, size_t number) {
    std::array<char, 24> text = {mark};
    const auto end = std::to_chars(text.data() + 1, text.data() + text.size(), number).ptr;
    add({text.data(), end});
  };
  std::unordered_map<const Value*, size_t> numbers;
  const auto number = [&numbers](const Value* value) {
    return numbers.try_emplace(value, numbers.size()).first->second;
  };
  for (const auto* input : graph.inputs()) number(input);
  for (const Node* node : nodes_in_order(graph)) {
    add(node->kind().toQualString());
    for (const auto* input : node->inputs()) add_number(',', number(input));
    for (const auto* output : node->outputs()) add_number(';', number(output));
    if (node->hasAttribute(attr::name)) add(node->s(attr::name));
  }
  for (const auto* output : graph.outputs()) add_number('>', number(output));
  return fmt::format("{:016x}", digest);
}

std::string unqualified(const std::string& op) {
  const auto colons = op.rfind("::");
  return colons == std::string::npos ? op : op.substr(colons + 2);
}

std::optional<at::Tensor> known_tensor(torch::jit::Value* value, const torch::jit::Module& top) {
  if (const auto constant = torch::jit::toIValue(value)) {
    if (constant->isNone()) return at::Tensor();
    if (constant->isTensor()) return constant->toTensor();
    return std::nullopt;
  }
  torch::jit::Node* const node = value->node();
  if (node->kind() != torch::jit::prim::GetAttr) return std::nullopt;
  const auto path = submodule_path(node->input());
  const auto module = path ? find_submodule(top, *path) : std::nullopt;
  const std::string& name = node->s(torch::jit::attr::name);
  if (!module || !module->hasattr(name)) return std::nullopt;
  const c10::IValue attribute = module->attr(name);
  if (attribute.isNone()) return at::Tensor();
  return attribute.isTensor() ? std::optional(attribute.toTensor()) : std::nullopt;
}

}  // namespace invact
