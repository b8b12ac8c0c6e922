#include "rewriter/editing/code_editor.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "analyzer/error.h"
#include "analyzer/model/module_paths.h"
#include "kernels/catalog.h"
#include "rewriter/editing/graph_edits.h"
#include "rewriter/editing/module_classes.h"
#include "rewriter/editing/original_code.h"
#include "rewriter/editing/segment_code.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/metadata_readers.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Graph;
using torch::jit::Module;
using torch::jit::Node;
using torch::jit::Value;

/// A copy of `function` with code of its own.
torch::jit::Function* copy_function(torch::jit::CompilationUnit& unit,
                                    torch::jit::Function& function,
                                    const c10::QualifiedName& name) {
  auto* const copy =
      unit.create_function(name, torch::jit::toGraphFunction(function).graph()->copy());
  copy->setSchema(function.getSchema());
  return copy;
}

torch::jit::Function* called_function(const Node& call) {
  return call.input(0)->type()->expect<c10::FunctionType>()->function();
}

/// The operator of ATen that one of the library replaces alone; none: `op` is no such one.
std::optional<std::string> replaced_operator(const std::string& op) {
  if (const auto* const row = kernels::find_replacement(op)) return std::string(row->aten_op);
  const auto find = [&op](const auto& rows) -> std::optional<std::string> {
    for (const auto& row : rows) {
      if (row.invact_op == op && !row.aten_op.empty()) return std::string(row.aten_op);
    }
    return std::nullopt;
  };
  if (auto norm = find(kernels::norms())) return norm;
  return find(kernels::dropouts());
}

/// A view that a segment takes of what feeds it goes with the segment's nodes: what it is a view
/// of.
Value* viewed_from_outside(Value* tensor, const std::unordered_map<const Node*, Node*>& ends) {
  while (true) {
    const auto end = ends.find(tensor->node());
    if (end == ends.end() || end->second == tensor->node()) return tensor;
    tensor = tensor->node()->input(0);
  }
}

/// A node that reads the metadata of what a segment makes in between reads it from what feeds the
/// segment instead.
void ask_in_front(const std::vector<Node*>& segment) {
  const std::unordered_set<Node*> members(segment.begin(), segment.end());
  for (Node* const member : segment) {
    if (member == segment.back()) continue;
    const std::vector<torch::jit::Use> uses = member->output()->uses();
    for (const torch::jit::Use& use : uses) {
      if (members.contains(use.user) || !reads_only_metadata(use.user)) continue;
      Value* const in_front = same_sizes_before(member->output(), members);
      if (in_front) use.user->replaceInput(use.offset, in_front);
    }
  }
}

const CodeEdits kNoEdits;
constexpr const char* kRecompute = "invact::recompute";
constexpr const char* kRelease = "invact::release";

}  // namespace

/// Some method's or function's code within the graph that is being edited: its nodes, and the calls
/// that were replaced by what they run.
struct CodeEditor::Level {
  Module home;            ///< The module whose method's graph this is: where attribute paths begin.
  Module owner;           ///< The module whose code this was.
  Value* self = nullptr;  ///< The owner, as a value of the graph.
  const CodeEdits* edits = &kNoEdits;
  std::vector<Node*> nodes;          ///< As nodes_in_order() gave them; null: a call that is gone.
  std::map<int64_t, Level> inlined;  ///< By the call's index.

  Node* at(const NodePath& path) const {
    const Level* level = this;
    for (size_t i = 0; i + 1 < path.size(); ++i) level = &level->inlined.at(path[i]);
    return level->nodes.at(static_cast<size_t>(path.back()));
  }

  /// The level whose code holds `node`, and the node's index there; null where no level does.
  std::pair<Level*, int64_t> find(const Node* node) {
    const auto found = std::ranges::find(nodes, node);
    if (found != nodes.end()) return {this, found - nodes.begin()};
    for (auto& [index, inner] : inlined) {
      if (const auto place = inner.find(node); place.first) return place;
    }
    return {nullptr, 0};
  }

  /// Adds the nodes that one operator takes the place of, each with the one at whose place it will
  /// stand.
  void add_ends(std::unordered_map<const Node*, Node*>& ends) const {
    for (const auto& segment : edits->segments) {
      const std::vector<Node*> members = nodes_at(segment);
      for (const Node* const member : members) ends.emplace(member, members.back());
    }
    for (const auto& [index, edit] : edits->operators) {
      const auto* const pattern = std::get_if<ReplacePattern>(&edit);
      if (!pattern) continue;
      for (const int64_t member : pattern->nodes) {
        ends.emplace(nodes.at(static_cast<size_t>(member)), nodes.at(static_cast<size_t>(index)));
      }
    }
    for (const auto& [index, inner] : inlined) inner.add_ends(ends);
  }

  std::vector<Node*> nodes_at(const std::vector<NodePath>& paths) const {
    std::vector<Node*> result;
    for (const NodePath& path : paths) result.push_back(at(path));
    return result;
  }
};

CodeEditor::CodeEditor(Module top, AllEdits edits)
    : top_(std::move(top)), unit_(top_._ivalue()->compilation_unit()), edits_(std::move(edits)) {}

void CodeEditor::edit(const std::string& module_path, const std::string& method) {
  const Module owner = *find_submodule(top_, module_path);
  const auto graph = owner.get_method(method).graph();
  if (originals_.contains(graph.get())) return;
  originals_[graph.get()] = graph->copy();
  const CodeEdits& edits = edits_.at(owner._ivalue().get()).at(method);
  if (edits.loses_code()) keep_original_code(owner, method);
  Level level{owner, owner, graph->inputs()[0], &edits, nodes_in_order(*graph), {}};
  edit_level(*graph, expand(std::move(level), {}));
}

/// Modules that hand on what they are given, as Identity does, may stand between a segment's nodes:
/// no node of theirs is in it.
void CodeEditor::inline_handovers(Level& top, const Level& level) {
  for (const auto& segment : level.edits->segments) {
    const std::vector<Node*> members = level.nodes_at(segment);
    for (const Node* const member : members) {
      if (member == members.back()) continue;
      for (const auto& use : member->output()->uses()) {
        if (use.user->kind() != prim::CallMethod && use.user->kind() != prim::CallFunction)
          continue;
        const auto [caller, index] = top.find(use.user);
        TORCH_INTERNAL_ASSERT(caller);
        caller->inlined.emplace(index, expand(inlined(*caller, index), {}));
        caller->nodes[static_cast<size_t>(index)] = nullptr;
        return inline_handovers(top, top);
      }
    }
  }
  for (const auto& [index, inner] : level.inlined) inline_handovers(top, inner);
}

void CodeEditor::edit_level(Graph& graph, Level level) {
  inline_handovers(level, level);
  Ends ends;
  level.add_ends(ends);
  insert_releases(level, ends);
  split_linears(level);
  replace_operators(graph, level);
  make_segments(level);
  graph.lint();
}

/// Replaces the calls that some segment reaches into by the code that they run.
CodeEditor::Level CodeEditor::expand(Level level, const std::vector<NodePath>& needed) {
  std::map<int64_t, std::vector<NodePath>> inner;
  const auto add = [&inner](const NodePath& path) {
    if (path.size() > 1) inner[path.front()].emplace_back(path.begin() + 1, path.end());
  };
  for (const NodePath& path : needed) add(path);
  for (const auto& segment : level.edits->segments) {
    for (const NodePath& path : segment) add(path);
  }
  for (const auto& [index, paths] : inner) {
    level.inlined.emplace(index, expand(inlined(level, index), paths));
    level.nodes[static_cast<size_t>(index)] = nullptr;
  }
  return level;
}

CodeEditor::Level CodeEditor::inlined(const Level& caller, int64_t index) {
  Node* const call = caller.nodes[static_cast<size_t>(index)];
  Level level;
  level.home = caller.home;
  level.owner = caller.owner;
  const CalledCode code = called_code(caller.home, *call);
  TORCH_INTERNAL_ASSERT(code.graph);
  const auto edited = originals_.find(code.graph.get());
  Graph& original = edited == originals_.end() ? *code.graph : *edited->second;
  const bool is_method = call->kind() == prim::CallMethod;
  if (is_method) level.owner = code.owner;
  level.self = is_method ? call->input(0) : caller.self;
  if (is_method) {
    const auto module = edits_.find(level.owner._ivalue().get());
    if (module != edits_.end()) {
      const auto method = module->second.find(call->s(attr::name));
      if (method != module->second.end()) level.edits = &method->second;
    }
  } else if (const auto edits = caller.edits->calls.find(index);
             edits != caller.edits->calls.end()) {
    level.edits = &edits->second;
  }
  const auto inputs = is_method ? call->inputs() : call->inputs().slice(1);
  InsertedCode code_here = insert_code_before(call, original, inputs.vec());
  call->output()->replaceAllUsesWith(code_here.outputs.at(0));
  level.nodes = std::move(code_here.nodes);
  call->destroy();
  splice_decided_branches(level.nodes);
  return level;
}

/// Behind each consumer, or behind what takes the place of a pattern that it belongs to.
void CodeEditor::insert_releases(const Level& level, const Ends& ends) {
  for (const Consumer& read : level.edits->consumers) {
    Node* const consumer = level.nodes.at(static_cast<size_t>(read.place.node_index));
    Value* const named = level.nodes.at(static_cast<size_t>(read.tensor_node))
                             ->input(static_cast<size_t>(read.tensor_position));
    Value* const tensor = viewed_from_outside(named, ends);
    const auto found = ends.find(consumer);
    Node* const end = found == ends.end() ? nullptr : found->second;
    std::vector<Value*> users;
    if (read.use != Consumer::Use::kReads && !end) {
      std::ranges::copy_if(consumer->outputs(), std::back_inserter(users), &is_tensor);
    }
    Graph& graph = *consumer->owningGraph();
    const torch::jit::WithInsertPoint guard((end ? end : consumer)->next());
    Node* const list = graph.insertNode(graph.createList(c10::TensorType::get(), users));
    Value* const last = graph.insertConstant(read.is_last);
    Node* const made = graph.insertNode(graph.create(
        c10::Symbol::fromQualString(kRelease), {tensor, list->output(), last}, /*num_outputs=*/0));
    made->copyMetadata(consumer);
  }
  for (const auto& [index, inner] : level.inlined) insert_releases(inner, ends);
}

void CodeEditor::split_linears(Level& level) {
  for (const Consumer& consumer : level.edits->consumers) {
    if (consumer.use != Consumer::Use::kCopies) continue;
    Node*& linear = level.nodes.at(static_cast<size_t>(consumer.place.node_index));
    split_linear(linear);
    linear = nullptr;
  }
  for (auto& [index, inner] : level.inlined) split_linears(inner);
}

void CodeEditor::replace_operators(Graph& graph, Level& level) {
  for (const auto& [index, inner] : level.edits->calls) {
    if (level.inlined.contains(index)) continue;
    Node* const call = level.nodes[static_cast<size_t>(index)];
    retarget_call(call, edited_copy(*called_function(*call), inner));
  }
  for (const auto& [index, edit] : level.edits->operators) {
    Node* const node = level.nodes[static_cast<size_t>(index)];
    if (const auto* const rename = std::get_if<RenameOperator>(&edit)) {
      replace_operator(node, rename->replacement);
    } else {
      replace_pattern(graph, level.nodes, node, std::get<ReplacePattern>(edit));
    }
  }
  for (auto& [index, inner] : level.inlined) replace_operators(graph, inner);
}

void CodeEditor::make_segments(Level& level) {
  for (const auto& segment : level.edits->segments) {
    const std::vector<Node*> nodes = level.nodes_at(segment);
    ask_in_front(nodes);
    const SegmentMethod method = make_segment_method(level.owner.type(), *unit_, nodes);
    Node* const output = nodes.back();
    Graph& graph = *output->owningGraph();
    const torch::jit::WithInsertPoint guard(output);
    std::vector<Value*> arguments = {
        level.self, graph.insertConstant(method.name),
        graph.insertNode(graph.createList(c10::TensorType::get(), method.tensors))->output()};
    if (!method.others.empty()) {
      arguments.push_back(graph.insertNode(graph.createTuple(method.others))->output());
    }
    insert_operator(output, kRecompute, arguments);
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      // The plan saw to it that no node outside reads what lies between.
      if ((*node)->hasUses()) {
        throw_internal_error(fmt::format("'{}' is read outside the chain that makes it, in '{}'.",
                                         (*node)->kind().toQualString(),
                                         level.owner.type()->name()->qualifiedName()));
      }
      destroy_with_constants(*node);
    }
  }
  for (auto& [index, inner] : level.inlined) make_segments(inner);
}

/// Makes a copy of `function` for the calls that these edits are for: other callers call the
/// original still.
torch::jit::Function* CodeEditor::edited_copy(torch::jit::Function& function,
                                              const CodeEdits& edits) {
  auto& copy = copies_[{&function, edits.signature()}];
  if (!copy) {
    copy = copy_function(*unit_, function, variant_name(*unit_, function.qualname()));
    Graph& graph = *torch::jit::toGraphFunction(*copy).graph();
    edit_level(graph, {top_, top_, nullptr, &edits, nodes_in_order(graph), {}});
  }
  return copy;
}

void CodeRestorer::restore(Graph& graph) {
  if (!restored_.insert(&graph).second) return;
  for (Node* node : nodes_in_order(graph)) {
    if (node->kind() == prim::CallFunction) {
      if (auto* const original = original_function(*called_function(*node))) {
        retarget_call(node, original);
      }
    } else if (const auto original = replaced_operator(node->kind().toQualString())) {
      replace_operator(node, *original);
      ++restored_operators_;
    } else if (node->kind() == c10::Symbol::fromQualString(kRelease)) {
      destroy_release(node);
      ++restored_operators_;
    }
  }
  graph.lint();
}

/// Restores the code of `function`; what `edited_copy` made becomes what it was made from.
torch::jit::Function* CodeRestorer::original_function(torch::jit::Function& function) {
  auto* const graph_function = torch::jit::tryToGraphFunction(function);
  if (!graph_function) return nullptr;
  restore(*graph_function->graph());
  const auto name = original_name(function.qualname());
  if (name == function.qualname()) return nullptr;
  auto* const original = unit_->find_function(name);
  return original ? original : copy_function(*unit_, function, name);
}

}  // namespace invact
