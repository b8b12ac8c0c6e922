// The whole forward of a model as one graph, on a copy: every call and every forked task inlined,
// conditions that are constant, or flags that the code never changes, decided. Remembers where each
// node came from. Patterns and alias analysis read it; nothing here is ever run.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"
#include "rewriter/graph/graph_nodes.h"
#include "rewriter/plan.h"

namespace invact {

/// Where a node of the model's own code stands, seen from one module instance.
struct NodeOrigin {
  const c10::ivalue::Object* instance = nullptr;  ///< The module whose method's code this is.
  std::string module_path;                        ///< The path it was first reached by.
  std::string method;
  /// Calls of free functions (F.silu) from the method's code down to the node's, each by its index
  /// in nodes_in_order() of the calling code.
  std::vector<int64_t> function_calls;
  /// In the graph of the method or, behind function calls, of the last function.
  int64_t node_index = 0;
  /// Where the node stands in the serialized code, then the function calls and forks around it,
  /// innermost first, up to the method: how an observed OperatorCall's frames begin.
  std::vector<CodeRange> frames;
  std::string function;     ///< Name of the innermost free function; empty: the method itself.
  std::string fingerprint;  ///< Of the code on the way from the method to the node.
  int64_t call = 0;         ///< The execution of that code, for InlinedModel::call().
  /// The innermost branch around it, here or in the calling code, whose condition that code, as it
  /// is called here, does not hold as a constant: a number by which nodes of one branch are known;
  /// -1: none. In the inlined graph a flag may have decided it.
  int64_t open_branch = -1;
  /// Whether a node in such a branch behind it reads what it makes.
  bool read_in_open_branch = false;
};

/// One execution of a method's, a function's or a forked task's code in the inlined model.
struct CodeCall {
  enum class Kind { kMethod, kFunction, kTask };
  Kind kind = Kind::kMethod;
  int64_t caller = -1;      ///< The calling code's; -1: this is the model's own forward.
  int64_t node_index = 0;   ///< Of the call, in the calling code's graph.
  NodeOrigin code;          ///< What the origins of its nodes have in common.
  std::string fingerprint;  ///< Of this code alone.
};

class InlinedModel {
 public:
  explicit InlinedModel(const torch::jit::Module& model);

  /// The model itself, not the copy.
  const torch::jit::Module& model() const { return model_; }

  const std::shared_ptr<torch::jit::Graph>& graph() const { return graph_; }

  /// Every node, in the order of running.
  const std::vector<torch::jit::Node*>& nodes() const { return nodes_; }

  /// Null where the node does not stand in a module's code (a method of a plain class), is a
  /// constant, or was made by a pass.
  const NodeOrigin* origin(const torch::jit::Node& node) const;

  /// Whether both stand in one block of one call of the same method or function.
  bool same_code(const torch::jit::Node& a, const torch::jit::Node& b) const;

  const CodeCall& call(int64_t number) const { return calls_.at(static_cast<size_t>(number)); }

  /// The innermost execution of a module's method around all of these nodes, which must have
  /// origins. None where a forked task lies between.
  std::optional<int64_t> common_method_call(const std::vector<torch::jit::Node*>& nodes) const;

  /// Where a node stands, seen from the code of `call`, which must be around it.
  NodePath path_from(int64_t call, const torch::jit::Node& node) const;

 private:
  friend class Inliner;
  void note_consumers_in_branches();

  torch::jit::Module model_;
  std::shared_ptr<torch::jit::Graph> graph_;
  std::vector<torch::jit::Node*> nodes_;
  std::vector<NodeOrigin> origins_;
  std::vector<CodeCall> calls_;
};

}  // namespace invact
