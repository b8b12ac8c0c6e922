#include "rewriter/planning/candidates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

namespace invact {
namespace {

std::string site_id(const GraphSite& site) {
  std::string id = fmt::format("{}/{}", site.location.module_path, site.location.method);
  if (!site.function.empty()) {
    id += fmt::format("#{}>{}", fmt::join(site.location.function_calls, "#"), site.function);
  }
  return id + fmt::format("#{}", site.location.node_index);
}

/// A call whose code the walk over the model did not reach.
Candidate unreached_candidate(const OperatorCall& call, size_t number) {
  Candidate candidate;
  Site& site = candidate.site;
  site.location.module_path = call.module_path;
  site.location.module_type = call.module_type;
  site.location.method = call.method;
  site.op = call.op;
  site.id = fmt::format("{}/{}?{}#{}", call.module_path, call.method, call.op, number);
  site.source = call.source;
  candidate.reject(
      {"not_reachable",
       "is called in a way that cannot be followed before the model runs (an "
       "interface in a list, a module chosen at run time, a method of a plain class)"});
  return candidate;
}

/// A node of a candidate's pattern.
struct Place {
  Candidate* candidate;
  const SiteNode* node;

  bool makes_output() const { return node == &candidate->site.nodes.back(); }
};
using PlacesByCode = std::multimap<std::pair<std::string, CodeRange>, Place>;

/// A dropout that drops everything saves a single number, and is no site.
bool saves_elements(const OperatorCall& call, const Report& report, const Prediction& prediction) {
  int64_t bytes = 0;
  for (const StorageId storage : prediction.kept_by(call.id)) {
    bytes += report.storage(storage).bytes;
  }
  return bytes > 0 && bytes >= call.output_tensor.element_count;
}

std::vector<Place> find_places(const PlacesByCode& by_code, const OperatorCall& call) {
  std::vector<Place> places;
  if (call.frames.empty()) return places;
  const auto [begin, end] = by_code.equal_range({call.module_path, call.frames.front()});
  for (auto entry = begin; entry != end; ++entry) {
    const Place& place = entry->second;
    const bool same_method = place.candidate->site.location.method == call.method;
    if (same_method && place.node->is_called_by(call)) places.push_back(place);
  }
  return places;
}

void note_call(const OperatorCall& call, bool saves, const Place& place) {
  Candidate& candidate = *place.candidate;
  if (saves) candidate.pending.push_back(call.id);
  if (!place.makes_output()) return;
  if (!candidate.executed) candidate.site.source = call.source;
  candidate.executed = true;
  Execution execution;
  execution.calls = std::exchange(candidate.pending, {});
  if (execution.calls.empty()) return;
  candidate.executions.push_back(std::move(execution));
  candidate.outputs.push_back(call.id);
}

/// Joins each site with its executions: same module instance, method and serialized code. Adds what
/// no site stands for.
void find_executions(const Report& report, const Prediction& prediction,
                     std::vector<Candidate>& candidates) {
  PlacesByCode by_code;
  for (Candidate& candidate : candidates) {
    for (const std::string& path : candidate.site.module_paths) {
      for (const SiteNode& node : candidate.site.nodes) {
        by_code.emplace(std::pair{path, node.frames.front()}, Place{&candidate, &node});
      }
    }
  }
  std::vector<Candidate> unreached;
  for (const OperatorCall& call : report.calls) {
    const std::vector<Place> places = find_places(by_code, call);
    for (const Place& place : places) note_call(call, prediction.saves(call.id), place);
    const bool is_reached = std::any_of(places.begin(), places.end(), [](const Place& place) {
      return place.candidate->site.nodes.size() == 1;
    });
    if (!is_reached && is_replaceable(call.op) && saves_elements(call, report, prediction)) {
      unreached.push_back(unreached_candidate(call, unreached.size()));
    }
  }
  for (Candidate& candidate : unreached) candidates.push_back(std::move(candidate));
}

}  // namespace

Candidate make_candidate(GraphSite graph_site) {
  Candidate candidate;
  Site& site = candidate.site;
  site.location = graph_site.location;
  const Match& match = graph_site.match();
  site.op = match.op;
  site.id = site_id(graph_site);
  site.module_paths.assign(graph_site.module_paths.begin(), graph_site.module_paths.end());
  site.nodes = graph_site.nodes;
  site.replacement = match.replacement;
  site.strategy = match.strategy;
  candidate.graph_site = std::move(graph_site);
  candidate.open = true;
  return candidate;
}

std::vector<Candidate> find_candidates(const Report& report, const InlinedModel& inlined,
                                       const MatchContext& context) {
  std::vector<Candidate> candidates;
  for (GraphSite& site : find_graph_sites(inlined, context)) {
    candidates.push_back(make_candidate(std::move(site)));
  }
  find_executions(report, context.prediction, candidates);
  return candidates;
}

bool Site::is_called_by(const OperatorCall& call) const {
  return std::ranges::any_of(nodes, [&](const SiteNode& node) {
    const bool in_place_of_call =
        node.method.empty() ? location.method == call.method &&
                                  std::ranges::count(module_paths, call.module_path) > 0
                            : node.method == call.method && node.module_path == call.module_path;
    return in_place_of_call && node.is_called_by(call);
  });
}

bool SiteNode::is_called_by(const OperatorCall& call) const {
  // A site's frames end at its method; a call's go on to the model's forward.
  return op == call.op && !frames.empty() && frames.size() <= call.frames.size() &&
         std::equal(frames.begin(), frames.end(), call.frames.begin());
}

}  // namespace invact
