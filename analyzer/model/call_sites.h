// Tells which module's code an operator runs for, by walking the model's own graphs along the
// interpreter's call stack: each frame's source range names the call node, and that node's GetAttr
// chain names the submodule.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
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

/// Not copyable: what it has learned points into itself.
class CallSiteResolver {
 public:
  explicit CallSiteResolver(torch::jit::Module top);
  CallSiteResolver(const CallSiteResolver&) = delete;
  CallSiteResolver& operator=(const CallSiteResolver&) = delete;

  /// Fills module_path, module_type, method, frames, attributed and source of an
  /// OperatorCall. `callstack`: innermost entry first, as torch::jit::currentCallstack() gives it.
  /// Where a frame cannot be followed (code that LibTorch made at run time), the deepest module
  /// known is named and `frames` stays empty.
  void resolve(const std::vector<torch::jit::StackEntry>& callstack, OperatorCall& call);

 private:
  /// A range of code. All code of a file shares one Source, which a key keeps alive: comparing
  /// addresses spares comparing names, for every operator that runs.
  struct Key {
    std::shared_ptr<torch::jit::Source> source;
    size_t begin = 0;
    size_t end = 0;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };

  /// The code that a chain of calls from the top module's forward leads to.
  struct Code {
    torch::jit::Module module;
    std::shared_ptr<torch::jit::Graph> graph;    ///< Null: the chain could not be followed so far.
    std::vector<const torch::jit::Node*> forks;  ///< Between the method's own graph and `graph`.
    std::string module_path;
    std::string module_type;
    std::string method;
    std::vector<CodeRange> frames;  ///< Of the calls, innermost first.
    std::unordered_map<Key, std::unique_ptr<Code>, KeyHash> called;
    std::unordered_map<Key, SourceLocation, KeyHash> sources;  ///< Of its operators.
  };
  using CallNodes = std::unordered_map<Key, const torch::jit::Node*, KeyHash>;

  static Key key_of(const torch::jit::SourceRange& range);
  const torch::jit::Node* find_call(const torch::jit::Graph& graph, const Key& key);
  Code& called_from(Code& caller, const torch::jit::SourceRange& range);
  bool follow(const torch::jit::Node* call, Code& code) const;

  Code top_;
  std::unordered_map<const torch::jit::Graph*, CallNodes> call_nodes_;
};

}  // namespace invact
