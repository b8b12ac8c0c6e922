// Lists the nodes that patterns match, per module instance. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <set>
#include <string>
#include <vector>

#include "rewriter/inlined_model.h"
#include "rewriter/patterns/activation.h"
#include "rewriter/plan.h"

namespace invact {

/// A matched node of one module instance, with what the decision needs to know of its surroundings.
struct GraphSite {
  SiteLocation location;
  /// Every path that leads to the instance: one module may stand in several places.
  std::set<std::string> module_paths;
  std::vector<CodeRange> frames;          ///< NodeOrigin::frames.
  std::string function;                   ///< NodeOrigin::function.
  ActivationMatch match;                  ///< Of the first of `copies`.
  std::vector<torch::jit::Node*> copies;  ///< The site in the inlined graph, once per call of it.
};

/// Every matched node in the code that `forward` reaches, in the order of running. Code that a
/// constant condition excludes is left out.
std::vector<GraphSite> find_graph_sites(const InlinedModel& inlined, const torch::jit::Module& top);

}  // namespace invact
