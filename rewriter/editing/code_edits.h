// What a Plan changes in each method's code: found in a model's own code, and checked against what
// that code was when the plan was made. Reads only.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "rewriter/plan.h"

namespace invact {

/// What changes in one method or function, and in the functions that it calls.
struct CodeEdits {
  using OperatorEdit = std::variant<RenameOperator, ReplacePattern>;

  std::map<int64_t, OperatorEdit> operators;    ///< By the index of the node that makes the output.
  std::map<int64_t, CodeEdits> calls;           ///< By the index of a call: its own copy's edits.
  std::vector<std::vector<NodePath>> segments;  ///< Recompute::nodes of each segment.
  std::vector<Consumer> consumers;  ///< Those in this code that read a segment's result.

  /// A text that two equal edits have in common: the same nodes become the same operators.
  std::string signature() const;

  /// Whether the original code could not be read back from the edited code, so that it has to be
  /// stored beside it.
  bool loses_code() const;
};

/// By method.
using ModuleEdits = std::map<std::string, CodeEdits>;

std::string signature(const ModuleEdits& edits);

/// The edits of every module of `top` that has some.
/// @throws Error(kInternal) where the plan was made for other code.
std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(
    const torch::jit::Module& top, const Plan& plan);

/// The code that a call runs.
struct CalledCode {
  std::shared_ptr<torch::jit::Graph> graph;  ///< Null: only the run decides which code it is.
  torch::jit::Module owner;                  ///< The module whose code it is.
};

/// The code that `call`, a prim::CallMethod or prim::CallFunction node in a method of `owner`,
/// runs. A function's code belongs to the module that calls it.
CalledCode called_code(const torch::jit::Module& owner, const torch::jit::Node& call);

}  // namespace invact
