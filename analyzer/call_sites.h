// Tells which module's code an operator runs for, by walking the model's own graphs along the
// interpreter's call stack: each frame's source range names the call node, and that node's GetAttr
// chain names the submodule.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// The attribute path from a method's `self` to `value` ("block.0"); none where `value` is no
/// submodule of it. `forks`: the prim::fork nodes whose tasks `value` lies in, outermost first.
std::optional<std::string> submodule_path(const torch::jit::Value* value,
                                          std::vector<const torch::jit::Node*> forks = {});

/// The graph of the free function or method that a prim::CallFunction node calls; null where it is
/// no TorchScript.
std::shared_ptr<torch::jit::Graph> called_function_graph(const torch::jit::Node& call);

/// The submodule at a dotted path; none where there is no such module.
std::optional<torch::jit::Module> find_submodule(const torch::jit::Module& top,
                                                 const std::string& path);

/// "a" and "b.c" give "a.b.c"; either may be empty.
std::string join_module_path(const std::string& parent, const std::string& child);

class CallSiteResolver {
 public:
  explicit CallSiteResolver(torch::jit::Module top) : top_(std::move(top)) {}

  /// Fills module_path, module_type, method, frames, attributed and source of an
  /// OperatorCall. `callstack`: innermost entry first, as torch::jit::currentCallstack() gives it.
  /// Where a frame cannot be followed (code that LibTorch made at run time), the deepest module
  /// known is named and `frames` stays empty.
  void resolve(const std::vector<torch::jit::StackEntry>& callstack, OperatorCall& call);

 private:
  using CallNodes = std::map<CodeRange, const torch::jit::Node*>;
  const torch::jit::Node* find_call(const torch::jit::Graph& graph, const CodeRange& range);
  bool follow(const std::vector<CodeRange>& frames, OperatorCall& call);

  torch::jit::Module top_;
  std::unordered_map<const torch::jit::Graph*, CallNodes> call_nodes_;
  std::map<std::vector<CodeRange>, OperatorCall> resolved_;
};

}  // namespace invact
