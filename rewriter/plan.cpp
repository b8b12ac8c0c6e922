#include "rewriter/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "analyzer/error.h"
#include "analyzer/model.h"
#include "rewriter/graph_sites.h"
#include "rewriter/inlined_model.h"
#include "rewriter/legality.h"
#include "rewriter/prediction.h"

namespace invact {
namespace {

/// A site while it is being decided.
struct Candidate {
  GraphSite graph_site;
  Site site;
  std::vector<CallId> calls;  ///< Its executions in the observed step that saved something.
  bool executed = false;
  bool open = false;  ///< Not rejected yet.

  void reject(const Rejection& rejection) {
    open = false;
    site.reason_code = rejection.code;
    site.reason = rejection.reason;
  }
};

std::string qualified(const std::string& op) {
  return op.find("::") == std::string::npos ? "aten::" + op : op;
}

void check_operator_names(const std::vector<std::string>& ops, const char* flag) {
  for (const std::string& op : ops) {
    if (!kernels::is_activation(qualified(op))) {
      throw_usage_error(
          fmt::format("{} '{}': no such operator; `invact ops` lists them.", flag, op));
    }
  }
}

bool names_operator(const std::vector<std::string>& ops, const std::string& op) {
  return std::any_of(ops.begin(), ops.end(),
                     [&](const std::string& name) { return qualified(name) == op; });
}

std::string site_id(const GraphSite& site) {
  std::string id = fmt::format("{}/{}", site.location.module_path, site.location.method);
  if (!site.function.empty()) {
    id += fmt::format("#{}>{}", fmt::join(site.location.function_calls, "#"), site.function);
  }
  return id + fmt::format("#{}", site.location.node_index);
}

Candidate make_candidate(GraphSite graph_site) {
  Candidate candidate;
  Site& site = candidate.site;
  site.location = graph_site.location;
  site.op = graph_site.match.op;
  site.id = site_id(graph_site);
  site.module_paths.assign(graph_site.module_paths.begin(), graph_site.module_paths.end());
  site.frames = graph_site.frames;
  if (const auto* const activation = graph_site.match.activation) {
    site.replacement = activation->invact_op;
    site.strategy = activation->strategy;
  }
  candidate.graph_site = std::move(graph_site);
  candidate.open = true;
  return candidate;
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

class Planner {
 public:
  Planner(const Report& report, const Model& model, const PlanOptions& options)
      : report_(report),
        options_(options),
        prediction_(report),
        inlined_(model.module),
        aliases_(inlined_) {
    for (GraphSite& site : find_graph_sites(inlined_, model.module)) {
      candidates_.push_back(make_candidate(std::move(site)));
    }
  }

  Plan make() {
    find_calls();
    for (Candidate& candidate : candidates_) {
      if (candidate.open) reject_unsafe(candidate);
    }
    drop_gainless();
    return finish();
  }

 private:
  /// Joins each site with its executions: same module instance, method and serialized code.
  void find_calls() {
    std::multimap<std::pair<std::string, CodeRange>, Candidate*> by_code;
    for (Candidate& candidate : candidates_) {
      for (const std::string& path : candidate.graph_site.module_paths) {
        by_code.emplace(std::pair{path, candidate.graph_site.frames.front()}, &candidate);
      }
    }
    std::vector<Candidate> unreached;
    for (const OperatorCall& call : report_.calls) {
      if (!kernels::is_activation(call.op)) continue;
      Candidate* const candidate = find_candidate(by_code, call);
      const bool saves = prediction_.saves(call.id);
      if (candidate) {
        if (!candidate->executed) candidate->site.source = call.source;
        candidate->executed = true;
        if (saves) candidate->calls.push_back(call.id);
      } else if (saves) {
        unreached.push_back(unreached_candidate(call, unreached.size()));
      }
    }
    for (Candidate& candidate : unreached) candidates_.push_back(std::move(candidate));
  }

  static Candidate* find_candidate(
      const std::multimap<std::pair<std::string, CodeRange>, Candidate*>& by_code,
      const OperatorCall& call) {
    if (call.frames.empty()) return nullptr;
    const auto [begin, end] = by_code.equal_range({call.module_path, call.frames.front()});
    for (auto entry = begin; entry != end; ++entry) {
      const GraphSite& site = entry->second->graph_site;
      // The same function may be called from several places in one method.
      const bool same_calls =
          site.frames.size() <= call.frames.size() &&
          std::equal(site.frames.begin(), site.frames.end(), call.frames.begin());
      if (same_calls && site.location.method == call.method && site.match.op == call.op) {
        return entry->second;
      }
    }
    return nullptr;
  }

  void reject_unsafe(Candidate& candidate) const {
    const GraphSite& site = candidate.graph_site;
    if (names_operator(options_.skip, site.match.op) ||
        (!options_.only.empty() && !names_operator(options_.only, site.match.op))) {
      return candidate.reject({"excluded", "excluded by --only or --skip"});
    }
    if (const auto rejection = check_arguments(site)) return candidate.reject(*rejection);
    if (!candidate.executed) {
      return candidate.reject({"not_executed", "did not run in the observed step"});
    }
    if (candidate.calls.empty()) {
      return candidate.reject({"saves_nothing", "keeps nothing: its input needs no gradient"});
    }
    for (const CallId call : candidate.calls) {
      if (site.match.activation->in_place && report_.call(call).input_is_view) {
        return candidate.reject({"writes_view",
                                 "writes a view of another tensor in place, whose storage cannot "
                                 "be kept as the output"});
      }
    }
    if (const auto rejection = aliases_.check_output_written(site)) candidate.reject(*rejection);
  }

  std::unordered_set<int64_t> open_calls(const Candidate* without = nullptr,
                                         const Candidate* with = nullptr) const {
    std::unordered_set<int64_t> calls;
    for (const Candidate& candidate : candidates_) {
      const bool counts = (candidate.open && &candidate != without) || &candidate == with;
      if (!counts) continue;
      for (const CallId call : candidate.calls) calls.insert(call.value);
    }
    return calls;
  }

  /// What this site adds to the open ones: negative frees bytes.
  int64_t delta(const Candidate& candidate) const {
    return prediction_.saved_bytes(open_calls(nullptr, &candidate)) -
           prediction_.saved_bytes(open_calls(&candidate));
  }

  /// Starts from all open sites, since two that share an input only gain together, and drops the
  /// worst until every remaining one frees bytes.
  void drop_gainless() {
    while (true) {
      Candidate* worst = nullptr;
      int64_t worst_delta = 0;
      for (Candidate& candidate : candidates_) {
        if (!candidate.open) continue;
        const int64_t bytes = delta(candidate);
        if (bytes >= 0 && (!worst || bytes > worst_delta)) {
          worst = &candidate;
          worst_delta = bytes;
        }
      }
      if (!worst) return;
      worst->reject(explain_no_gain(*worst));
    }
  }

  Rejection explain_no_gain(const Candidate& candidate) const {
    for (const CallId id : candidate.calls) {
      const OperatorCall& call = report_.call(id);
      if (!call.output || prediction_.other_savers(*call.output, id).empty()) {
        return {"output_not_kept",
                fmt::format("nobody else keeps its output (read by {}), so keeping it instead of "
                            "the input frees nothing",
                            fmt::join(consumers(candidate.graph_site), ", "))};
      }
      for (const StorageId storage : prediction_.kept_by(id)) {
        const auto savers = prediction_.other_savers(storage, id);
        if (savers.empty()) continue;
        const OperatorCall& other = report_.call(savers.front());
        return {"input_kept_elsewhere",
                fmt::format("its input's storage is also kept by {} in '{}'", other.op,
                            other.module_path)};
      }
    }
    return {"no_gain", "the branch bits would cost as much as the input frees"};
  }

  /// A dropout that drops nothing hands its input on, but the default executor differentiates
  /// dropout by a formula of its own, which makes another tensor and a mask whatever p is.
  void note_copies_of_default_executor(Plan& plan) const {
    const int64_t count =
        std::count_if(candidates_.begin(), candidates_.end(), [](const Candidate& candidate) {
          const auto readers = consumers(candidate.graph_site);
          return candidate.open &&
                 std::find(readers.begin(), readers.end(), "aten::dropout") != readers.end();
        });
    if (count == 0) return;
    plan.notes.push_back(fmt::format(
        "Accepted sites that are read by a dropout with p = 0: {}. TorchScript's default executor "
        "makes a copy there, which costs what they free: train with its profiling mode off "
        "(Python: torch._C._jit_set_profiling_mode(False); C++: torch::jit::getProfilingMode() = "
        "false), or make the file without these dropout modules.",
        count));
  }

  Plan finish() {
    Plan plan;
    note_copies_of_default_executor(plan);
    plan.saved_bytes_before = report_.totals.saved_bytes;
    plan.saved_bytes_after = prediction_.saved_bytes(open_calls());
    for (Candidate& candidate : candidates_) {
      Site& site = candidate.site;
      site.accepted = candidate.open;
      site.saved_bytes_delta = candidate.calls.empty() ? 0 : delta(candidate);
      if (candidate.open) {
        site.reason_code = "accepted";
        const bool has_bits = candidate.graph_site.match.activation->branch_bits_per_element > 0;
        site.reason = fmt::format("keeps its output, which is kept anyway, {}instead of its input",
                                  has_bits ? "and branch bits " : "");
      }
      plan.sites.push_back(std::move(site));
    }
    return plan;
  }

  const Report& report_;
  const PlanOptions& options_;
  Prediction prediction_;
  InlinedModel inlined_;
  WholeModelAliases aliases_;
  std::vector<Candidate> candidates_;
};

}  // namespace

int64_t Plan::accepted_count() const {
  return std::count_if(sites.begin(), sites.end(), [](const Site& site) { return site.accepted; });
}

Plan make_plan(const Report& report, const Model& model, const PlanOptions& options) {
  check_operator_names(options.only, "--only");
  check_operator_names(options.skip, "--skip");
  return Planner(report, model, options).make();
}

}  // namespace invact
