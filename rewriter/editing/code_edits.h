// What a Plan changes in each method's code, found in a model's own code and checked against what
// it was when the plan was made. Reads only.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/plan.h"

namespace invact {

/// What takes the place of one node, or of a pattern that ends in it.
struct Replacement {
  std::string op;
  std::vector<int64_t> pattern_nodes;   ///< SiteLocation's.
  std::vector<SiteArgument> arguments;  ///< SiteLocation's.
};

/// A reader of a region's result: SiteReader's members within its code.
struct Release {
  int64_t node_index = 0;
  int64_t tensor_node = 0;
  int64_t tensor_position = 0;
  bool saves = false;
  bool last = false;
  bool copies = false;
  bool operator==(const Release&) const = default;
};

/// What changes in one method or function: operators by node index, and in the functions it calls.
struct CodeEdits {
  std::map<int64_t, Replacement> replacements;  ///< By the index of the node that makes the output.
  std::map<int64_t, CodeEdits> calls;           ///< Node index of the call -> its own copy's edits.
  std::vector<std::vector<NodePath>> chains;    ///< SiteLocation::chain, of each region.
  std::vector<Release> releases;

  /// The code tells a pattern's nodes and most arguments, but for the weights' shape.
  std::string signature() const;

  /// Whether what is lost could not be told from what takes its place.
  bool replaces_patterns() const;
};

/// By method.
using ModuleEdits = std::map<std::string, CodeEdits>;

std::string signature(const ModuleEdits& edits);

/// The edits of every module of `top` that has some.
/// @throws Error(kInternal) where the plan was made for other code.
std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(
    const torch::jit::Module& top, const Plan& plan);

/// The code that a prim::CallMethod or prim::CallFunction node in a method of `owner` runs; null
/// where only the run tells. `callee`: the submodule whose method it is, or the owner.
std::shared_ptr<torch::jit::Graph> called_code(const torch::jit::Module& owner,
                                               const torch::jit::Node& call,
                                               torch::jit::Module& callee);

/// The module whose method a site stands in. @throws as collect_edits().
torch::jit::Module owner_of(const torch::jit::Module& top, const Site& site);

}  // namespace invact
