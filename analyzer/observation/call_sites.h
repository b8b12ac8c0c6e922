// Finds the module whose code an operator runs for, by walking the model's own graphs along the
// interpreter's call stack: the source range of each frame names the call node, and the path of
// that node's module names the submodule (model/module_paths.h). Forked tasks (torch.jit.fork) are
// run at once, on the thread that forks them, so that they have a call stack to follow.
#pragma once

#include <ATen/core/function.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/source_range.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// A launcher for torch::jit::Method::run_async that runs each task to its end inside the fork. The
/// order of random numbers, the executor's thread-local settings and the call stack are then those
/// of one thread. What autograd saves does not depend on the thread.
torch::jit::TaskLauncher run_forks_at_once();

/// torch::jit::currentCallstack() continued outwards past every fork that run_forks_at_once() is
/// running: innermost entry first.
std::vector<torch::jit::StackEntry> callstack_through_forks();

/// Follows call stacks of one model and remembers what it found. Not copyable, since its memory
/// points into itself.
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

  /// The code that a sequence of calls from the top module's forward leads to.
  struct Code {
    torch::jit::Module module;
    std::shared_ptr<torch::jit::Graph> graph;    ///< Null where the calls could not be followed.
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
