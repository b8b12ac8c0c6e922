// What forbids a rewrite whatever the bytes: read-only predicates over graphs, each giving a
// Rejection or none.
#pragma once

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"
#include "rewriter/graph_sites.h"

namespace invact {

struct Rejection {
  std::string code;    ///< Stable identifier.
  std::string reason;  ///< A sentence for people.
};

/// The operator library has no operator for this variant, or it is only known at run time.
std::optional<Rejection> check_variant(const GraphSite& site);

/// The node stands in a free function (F.silu), which all its callers share.
std::optional<Rejection> check_function(const GraphSite& site);

/// The node stands inside an `if` or a loop.
std::optional<Rejection> check_control_flow(const GraphSite& site);

/// Alias analysis over the whole model: forward's graph with every call inlined, on a copy.
class WholeModelAliases {
 public:
  explicit WholeModelAliases(const torch::jit::Module& top);

  /// Somebody writes to the output after it was made, so that keeping it for backward would keep
  /// the wrong values.
  std::optional<Rejection> check_output_written(const GraphSite& site) const;

  /// Operators that read the site's output, anywhere in the model: "aten::dropout, aten::linear".
  std::vector<std::string> consumers(const GraphSite& site) const;

 private:
  const std::vector<torch::jit::Node*>& inlined(const GraphSite& site) const;

  std::shared_ptr<torch::jit::Graph> graph_;
  std::vector<torch::jit::Node*> nodes_;
  std::map<std::pair<std::string, CodeRange>, std::vector<torch::jit::Node*>> nodes_by_code_;
  std::unique_ptr<torch::jit::AliasDb> aliases_;
};

}  // namespace invact
