// Walks a model's code and lists the nodes that patterns match, per module instance. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "analyzer/model.h"
#include "analyzer/trace.h"
#include "rewriter/patterns/activation.h"
#include "rewriter/plan.h"

namespace invact {

/// A matched node, with what the decision needs to know of its surroundings.
struct GraphSite {
  SiteLocation location;
  CodeRange code;
  ActivationMatch match;
  std::shared_ptr<torch::jit::Graph> graph;  ///< The graph that holds the node.
  bool in_control_flow = false;              ///< Inside an `if` or a loop.
  std::string in_function;  ///< Name of the free function that holds it; empty: the method itself.
};

/// Every matched node in the code that `forward` reaches: per module instance and method, and per
/// call of a free function, in the order of the graphs.
std::vector<GraphSite> find_graph_sites(const torch::jit::Module& top);

/// Every node of a graph, nested blocks included, in printing order: the order of
/// SiteLocation::node_index.
std::vector<torch::jit::Node*> nodes_in_order(torch::jit::Graph& graph);

/// A digest of the graph's operators and of how values flow between them; names and types do not
/// matter.
std::string graph_fingerprint(torch::jit::Graph& graph);

}  // namespace invact
