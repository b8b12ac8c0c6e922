#include "rewriter/planning/candidates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

namespace invact {
namespace {

std::string site_id(const GraphSite& site) {
  std::string id = fmt::format("{}/{}", site.place.module_path, site.place.method);
  if (!site.function.empty()) {
    id += fmt::format("#{}>{}", fmt::join(site.place.function_calls, "#"), site.function);
  }
  return id + fmt::format("#{}", site.place.node_index);
}

/// A call whose code the walk over the model did not reach.
Candidate unreached_candidate(const OperatorCall& call, size_t number) {
  Candidate candidate;
  Site& site = candidate.site;
  site.place.module_path = call.module_path;
  site.place.module_type = call.module_type;
  site.place.method = call.method;
  site.op = call.op;
  site.id = fmt::format("{}/{}?{}#{}", call.module_path, call.method, call.op, number);
  site.source = call.source;
  candidate.reject(
      {"not_reachable",
       "is called in a way that cannot be followed before the model runs (an "
       "interface in a list, a module chosen at run time, a method of a plain class)"});
  return candidate;
}

/// A dropout that drops everything saves a single number, and is no site.
bool saves_elements(const OperatorCall& call, const Report& report, const ObservedSavers& savers) {
  int64_t bytes = 0;
  for (const StorageId storage : savers.saved_by(call.id)) bytes += report.storage(storage).bytes;
  return bytes > 0 && bytes >= call.output_tensor.element_count;
}

/// Joins each candidate with its runs: same module instance, method and serialized code.
class RunFinder {
 public:
  RunFinder(const ObservedSavers& savers, std::vector<Candidate>& candidates)
      : savers_(savers), candidates_(candidates), pending_(candidates.size()) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Site& site = candidates[i].site;
      for (const std::string& path : site.module_paths) {
        for (const SiteNode& node : site.nodes) {
          places_.emplace(std::pair{path, node.frames.front()}, Place{i, &node});
        }
      }
    }
  }

  /// Notes a call of the observed step, in order. @returns whether it belongs to a site of one
  /// node.
  bool note(const OperatorCall& call) {
    if (call.frames.empty()) return false;
    bool is_site_of_one_node = false;
    const auto [begin, end] = places_.equal_range({call.module_path, call.frames.front()});
    for (auto entry = begin; entry != end; ++entry) {
      const auto& [index, node] = entry->second;
      const Site& site = candidates_[index].site;
      if (site.place.method != call.method || !node->is_called_by(call)) continue;
      note(call, index, node == &site.nodes.back());
      is_site_of_one_node |= site.nodes.size() == 1;
    }
    return is_site_of_one_node;
  }

 private:
  /// A node of a candidate's pattern.
  struct Place {
    size_t candidate;
    const SiteNode* node;
  };

  void note(const OperatorCall& call, size_t index, bool makes_output) {
    if (savers_.saves(call.id)) pending_[index].push_back(call.id);
    if (!makes_output) return;
    Candidate& candidate = candidates_[index];
    if (candidate.run_count++ == 0) candidate.site.source = call.source;
    if (pending_[index].empty()) return;
    candidate.runs.push_back({std::exchange(pending_[index], {}), call.id});
  }

  const ObservedSavers& savers_;
  std::vector<Candidate>& candidates_;
  /// By candidate: the calls that saved since its last result was made.
  std::vector<std::vector<CallId>> pending_;
  std::multimap<std::pair<std::string, CodeRange>, Place> places_;
};

}  // namespace

Candidate make_candidate(GraphSite graph_site) {
  Candidate candidate;
  const Match& match = graph_site.match();
  Site& site = candidate.site;
  site.id = site_id(graph_site);
  site.op = match.op;
  site.strategy = match.strategy;
  site.module_paths.assign(graph_site.module_paths.begin(), graph_site.module_paths.end());
  site.nodes = std::move(graph_site.nodes);
  site.place = std::move(graph_site.place);
  site.edit = std::move(graph_site.edit);
  candidate.copies = std::move(graph_site.copies);
  return candidate;
}

std::vector<Candidate> find_candidates(const Report& report, const InlinedModel& inlined,
                                       const MatchContext& context) {
  std::vector<Candidate> candidates;
  for (GraphSite& site : find_graph_sites(inlined, context)) {
    candidates.push_back(make_candidate(std::move(site)));
  }
  RunFinder runs(context.savers, candidates);
  std::vector<Candidate> unreached;
  for (const OperatorCall& call : report.calls) {
    const bool is_reached = runs.note(call);
    if (!is_reached && is_replaceable(call.op) && saves_elements(call, report, context.savers)) {
      unreached.push_back(unreached_candidate(call, unreached.size()));
    }
  }
  for (Candidate& candidate : unreached) candidates.push_back(std::move(candidate));
  return candidates;
}

}  // namespace invact
