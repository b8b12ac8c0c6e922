// Edits the code of a model's classes and functions, as a plan says: the only code that changes a
// graph which runs.
#pragma once

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "rewriter/editing/code_edits.h"

namespace invact {

/// Makes the edits of a model in which instances of one class agree.
class CodeEditor {
 public:
  using AllEdits = std::unordered_map<const c10::ivalue::Object*, ModuleEdits>;

  CodeEditor(torch::jit::Module top, AllEdits edits);

  /// The edits of one method, once however often it is asked for.
  void edit(const std::string& module_path, const std::string& method);

 private:
  struct Level;
  using Ends = std::unordered_map<const torch::jit::Node*, torch::jit::Node*>;
  using CodeKey = std::pair<const torch::jit::Function*, std::string>;

  Level expand(Level level, const std::vector<NodePath>& needed);
  Level inlined(const Level& caller, int64_t index);
  void inline_handovers(Level& top, const Level& level);
  void insert_releases(const Level& level, const Ends& ends);
  void split_linears(Level& level);
  void replace_operators(torch::jit::Graph& graph, Level& level);
  void make_segments(Level& level);
  void edit_level(torch::jit::Graph& graph, Level level);
  torch::jit::Function* edited_copy(torch::jit::Function& function, const CodeEdits& edits);

  torch::jit::Module top_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  AllEdits edits_;
  /// The code that was edited, as it was before: what inlines it takes that.
  std::unordered_map<const torch::jit::Graph*, std::shared_ptr<torch::jit::Graph>> originals_;
  std::map<CodeKey, torch::jit::Function*> copies_;
};

/// Takes back what CodeEditor did to operators and functions.
class CodeRestorer {
 public:
  explicit CodeRestorer(std::shared_ptr<torch::jit::CompilationUnit> unit)
      : unit_(std::move(unit)) {}

  /// All operators of the library in `graph` and in the functions that it calls become ATen's
  /// again; what gives memory back goes.
  void restore(torch::jit::Graph& graph);

  int64_t restored_operators() const { return restored_operators_; }

 private:
  torch::jit::Function* original_function(torch::jit::Function& function);

  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  std::set<const torch::jit::Graph*> restored_;
  int64_t restored_operators_ = 0;
};

}  // namespace invact
