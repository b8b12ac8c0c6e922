// Lists the places that patterns match, per module instance. Reads only.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/patterns/match.h"
#include "rewriter/plan.h"

namespace invact {

/// A matched place of one module instance, with what the decision needs to know of its
/// surroundings.
struct GraphSite {
  CodePlace place;
  Edit edit;
  /// Every path that leads to the instance: one module may stand in several places.
  std::set<std::string> module_paths;
  std::vector<SiteNode> nodes;  ///< Site::nodes.
  std::string function;         ///< NodeOrigin::function.
  std::vector<Match> copies;    ///< The site in the inlined graph, once per call of it.

  const Match& match() const { return copies.front(); }
};

/// Every matched place in the code that `forward` reaches, in the order of running. Code that a
/// constant condition excludes is left out. The operator library must be registered.
std::vector<GraphSite> find_graph_sites(const InlinedModel& inlined, const MatchContext& context);

/// Whether some pattern is this operator alone.
bool is_replaceable(const std::string& op);

/// Whether `name` is a Match's op or one of its aliases, for some pattern.
bool is_known_operator(const std::string& name);

}  // namespace invact
