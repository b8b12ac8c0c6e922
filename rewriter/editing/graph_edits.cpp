#include "rewriter/editing/graph_edits.h"

#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <set>

#include "analyzer/error.h"
#include "rewriter/graph/inlined_model.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Graph;
using torch::jit::Node;

/// Writes a pattern's arguments in front of its last node.
class PatternArguments {
 public:
  PatternArguments(Graph& graph, const std::vector<Node*>& nodes, Node* place)
      : graph_(graph), nodes_(nodes), guard_(place) {}

  torch::jit::Value* value(const PatternArgument& argument) {
    if (argument.kind == PatternArgument::Kind::kConstant) return constant(argument);
    torch::jit::Value* const read = nodes_.at(static_cast<size_t>(argument.node_index))
                                        ->input(static_cast<size_t>(argument.position));
    if (argument.kind == PatternArgument::Kind::kValue) return read;
    Node* const dtype = graph_.insertNode(graph_.create(prim::dtype, {read}));
    dtype->output()->setType(c10::IntType::get());
    return dtype->output();
  }

 private:
  torch::jit::Value* constant(const PatternArgument& argument) {
    struct ToValue {
      c10::IValue operator()(std::monostate) const { return {}; }
      c10::IValue operator()(bool value) const { return value; }
      c10::IValue operator()(int64_t value) const { return value; }
      c10::IValue operator()(double value) const { return value; }
      c10::IValue operator()(const std::string& value) const { return value; }
      c10::IValue operator()(const std::vector<int64_t>& value) const { return value; }
    };
    return graph_.insertConstant(std::visit(ToValue(), argument.constant));
  }

  Graph& graph_;
  const std::vector<Node*>& nodes_;
  torch::jit::WithInsertPoint guard_;
};

}  // namespace

void insert_operator(Node* node, const std::string& replacement,
                     at::ArrayRef<torch::jit::Value*> arguments) {
  Graph& graph = *node->owningGraph();
  Node* const made = graph.create(c10::Symbol::fromQualString(replacement), arguments,
                                  /*num_outputs=*/1);
  made->insertBefore(node);
  made->copyMetadata(node);
  made->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(made->output());
  if (!made->maybeSchema()) {
    throw_internal_error(fmt::format("{} does not take the arguments that it was given for {}.",
                                     replacement, node->kind().toQualString()));
  }
}

void replace_operator(Node* node, const std::string& replacement) {
  insert_operator(node, replacement, node->inputs());
  node->destroy();
}

void destroy_with_constants(Node* node) {
  const std::vector<torch::jit::Value*> inputs = node->inputs().vec();
  node->destroy();
  std::set<Node*> constants;
  for (torch::jit::Value* const input : inputs) {
    if (input->node()->kind() == prim::Constant && !input->hasUses()) {
      constants.insert(input->node());
    }
  }
  for (Node* const constant : constants) constant->destroy();
}

void replace_pattern(Graph& graph, const std::vector<Node*>& nodes, Node* output,
                     const ReplacePattern& pattern) {
  std::vector<torch::jit::Value*> values;
  PatternArguments arguments(graph, nodes, output);
  for (const PatternArgument& argument : pattern.arguments) {
    values.push_back(arguments.value(argument));
  }
  insert_operator(output, pattern.replacement, values);
  for (auto index = pattern.nodes.rbegin(); index != pattern.nodes.rend(); ++index) {
    destroy_with_constants(nodes.at(static_cast<size_t>(*index)));
  }
}

void split_linear(Node* linear) {
  Graph& graph = *linear->owningGraph();
  const torch::jit::WithInsertPoint guard(linear);
  const auto insert = [&](c10::Symbol op, at::ArrayRef<torch::jit::Value*> inputs) {
    Node* const made = graph.insertNode(graph.create(op, inputs, /*num_outputs=*/1));
    made->copyMetadata(linear);
    return made->output();
  };
  torch::jit::Value* const weight = insert(aten::t, {linear->input(1)});
  torch::jit::Value* result = insert(aten::matmul, {linear->input(0), weight});
  if (!linear->input(2)->mustBeNone()) {
    torch::jit::Value* const alpha = graph.insertConstant(1);
    result = insert(aten::add_, {result, linear->input(2), alpha});
  }
  result->copyMetadata(linear->output());
  linear->output()->replaceAllUsesWith(result);
  destroy_with_constants(linear);
}

void retarget_call(Node* call, torch::jit::Function* function) {
  Graph& graph = *call->owningGraph();
  Node* const old_constant = call->input(0)->node();
  const torch::jit::WithInsertPoint guard(call);
  Node* const constant = graph.insertNode(graph.create(prim::Constant));
  constant->s_(attr::name, function->name());
  constant->copyMetadata(old_constant);
  constant->output()->setType(c10::FunctionType::create(function));
  call->replaceInput(0, constant->output());
  if (!old_constant->hasUses()) old_constant->destroy();
}

void destroy_release(Node* release) {
  Node* const list = release->input(1)->node();
  destroy_with_constants(release);
  if (!list->hasUses()) list->destroy();
}

void splice_decided_branches(std::vector<Node*>& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node* const branch = nodes[i];
    if (!branch || branch->kind() != prim::If) continue;
    const auto condition = torch::jit::toIValue(branch->input());
    if (!condition) continue;
    const bool takes_first = condition->toBool();
    torch::jit::Block* const taken = branch->blocks()[takes_first ? 0 : 1];
    std::vector<Node*> gone = {branch};
    for (Node* const node : branch->blocks()[takes_first ? 1 : 0]->nodes()) {
      append_nodes_in_order(node, gone);
    }
    for (Node*& node : nodes) {
      if (std::ranges::count(gone, node) > 0) node = nullptr;
    }
    for (auto it = taken->nodes().begin(); it != taken->nodes().end();) {
      Node* const node = *it++;
      node->moveBefore(branch);
    }
    for (size_t k = 0; k < branch->outputs().size(); ++k) {
      branch->output(k)->replaceAllUsesWith(taken->outputs()[k]);
    }
    branch->destroy();
  }
}

}  // namespace invact
