#include "rewriter/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "analyzer/error.h"
#include "analyzer/model.h"
#include "rewriter/candidates.h"
#include "rewriter/inlined_model.h"
#include "rewriter/legality.h"
#include "rewriter/prediction.h"

namespace invact {
namespace {

/// Operators that are known by `name`: the whole name, or one without what stands before it.
bool is_named(const std::string& name, const std::string& op,
              const std::vector<std::string>& aliases) {
  return name == op || std::find(aliases.begin(), aliases.end(), name) != aliases.end();
}

bool names_operator(const std::vector<std::string>& names, const Match& match) {
  return std::any_of(names.begin(), names.end(), [&match](const std::string& name) {
    return is_named(name, match.op, match.aliases);
  });
}

void check_operator_names(const std::vector<std::string>& names, const char* flag) {
  for (const std::string& name : names) {
    if (is_known_operator(name)) continue;
    throw_usage_error(
        fmt::format("{} '{}': no such operator; `invact ops` lists them.", flag, name));
  }
}

class Planner {
 public:
  Planner(const Report& report, const Model& model, const PlanOptions& options)
      : report_(report),
        options_(options),
        prediction_(report),
        inlined_(model.module),
        aliases_(inlined_),
        candidates_(find_candidates(report, prediction_, inlined_,
                                    {model.module, report.run.device == "cpu"})) {}

  Plan make() {
    for (Candidate& candidate : candidates_) {
      if (candidate.open) reject_unsafe(candidate);
    }
    drop_gainless();
    Plan plan = finish();
    check_decisions(plan);
    return plan;
  }

 private:
  bool is_decided_for(const std::string& id) const {
    if (!options_.decisions) return true;
    const auto decision = options_.decisions->find(id);
    return decision != options_.decisions->end() && decision->second;
  }

  /// @throws Error(kUsage) where the plan differs from the decisions that were given.
  void check_decisions(const Plan& plan) const {
    if (!options_.decisions) return;
    std::map<std::string, const Site*> sites;
    for (const Site& site : plan.sites) sites[site.id] = &site;
    for (const auto& [id, accepted] : *options_.decisions) {
      const auto site = sites.find(id);
      if (site == sites.end()) {
        throw_usage_error(
            fmt::format("The given plan names site '{}', which this model lacks.", id));
      }
      if (!accepted || site->second->accepted) continue;
      throw_usage_error(fmt::format("The given plan accepts site '{}', which cannot be: {} [{}].",
                                    id, site->second->reason, site->second->reason_code));
    }
  }

  void reject_unsafe(Candidate& candidate) {
    const GraphSite& site = candidate.graph_site;
    const Match& match = site.match();
    const auto keeps_as_today = find_kept(candidate);
    if (names_operator(options_.skip, match) ||
        (!options_.only.empty() && !names_operator(options_.only, match))) {
      return candidate.reject({"excluded", "excluded by --only or --skip"});
    }
    if (!is_decided_for(candidate.site.id)) {
      return candidate.reject({"excluded", "left alone by the given plan"});
    }
    if (match.refusal) return candidate.reject(*match.refusal);
    if (options_.exact && !match.is_exact) {
      return candidate.reject(
          {"not_exact", "its gradient is right up to rounding, not bit for bit (--exact)"});
    }
    if (!candidate.executed) {
      return candidate.reject({"not_executed", "did not run in the observed step"});
    }
    if (candidate.executions.empty()) {
      return candidate.reject({"saves_nothing", "keeps nothing: its input needs no gradient"});
    }
    if (keeps_as_today) return candidate.reject(*keeps_as_today);
    if (candidate.executions.front().keeps) {
      if (const auto rejection = aliases_.check_output_written(site)) {
        return candidate.reject(*rejection);
      }
    }
    if (const auto rejection = aliases_.check_written_between(site)) candidate.reject(*rejection);
  }

  /// What each execution keeps once replaced, where the pattern tells it; or why not.
  std::optional<Rejection> find_kept(Candidate& candidate) const {
    const Match& match = candidate.graph_site.match();
    if (!match.kept) return std::nullopt;
    for (size_t i = 0; i < candidate.executions.size(); ++i) {
      const OperatorCall& output = report_.call(candidate.outputs[i]);
      const auto kept = match.kept(output, report_);
      if (const auto* const rejection = std::get_if<Rejection>(&kept)) return *rejection;
      const auto& instead = std::get<KeptInstead>(kept);
      if (instead.storage && match.in_place && output.input_is_view) {
        return Rejection{"writes_view",
                         "writes a view of another tensor in place, whose storage cannot be kept "
                         "as the output"};
      }
      candidate.executions[i].keeps = instead.storage;
      candidate.executions[i].bytes = instead.bytes;
    }
    candidate.has_delta = true;
    return std::nullopt;
  }

  void replace(const Candidate& candidate) {
    for (const Execution& execution : candidate.executions) prediction_.replace(execution);
  }

  void put_back(const Candidate& candidate) {
    for (const Execution& execution : candidate.executions) prediction_.put_back(execution);
  }

  /// What this site adds to the open ones: negative frees bytes.
  int64_t delta(const Candidate& candidate) {
    if (!candidate.open) return prediction_.delta(candidate.executions);
    put_back(candidate);
    const int64_t bytes = prediction_.delta(candidate.executions);
    replace(candidate);
    return bytes;
  }

  /// Starts from all open sites, since two that share an input only gain together, and drops the
  /// worst until every remaining one frees bytes. What lies within a larger site has its turn where
  /// that is dropped.
  void drop_gainless() {
    std::vector<Candidate*> waiting;
    for (Candidate& candidate : candidates_) {
      if (!candidate.open) continue;
      if (candidate.graph_site.within_larger && has_open_larger(candidate)) {
        candidate.open = false;
        waiting.push_back(&candidate);
      } else {
        replace(candidate);
      }
    }
    while (Candidate* const worst = worst_gainless()) {
      put_back(*worst);
      worst->reject(explain_no_gain(*worst));
      for (Candidate*& candidate : waiting) {
        if (!candidate || !holds(*worst, *candidate) || has_open_larger(*candidate)) continue;
        candidate->open = true;
        replace(*candidate);
        candidate = nullptr;
      }
    }
    for (Candidate* const candidate : waiting) {
      if (candidate) candidate->part_of_larger = true;
    }
    if (prediction_.saved_bytes() > report_.totals.saved_bytes) give_up();
  }

  /// Whether the larger site's pattern is more than an operator's name, and has this one's node.
  static bool holds(const Candidate& larger, const Candidate& candidate) {
    const Match& match = larger.graph_site.match();
    return match.has_arguments() &&
           std::ranges::count(match.nodes, candidate.graph_site.match().output()) > 0;
  }

  bool has_open_larger(const Candidate& candidate) const {
    return std::any_of(
        candidates_.begin(), candidates_.end(),
        [&candidate](const Candidate& other) { return other.open && holds(other, candidate); });
  }

  Candidate* worst_gainless() {
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
    return worst;
  }

  /// Sites that only free bytes beside each other, and together cost more than they free.
  void give_up() {
    for (Candidate& candidate : candidates_) {
      if (!candidate.open) continue;
      put_back(candidate);
      candidate.reject({"no_gain", "together with the other sites it frees nothing"});
    }
  }

  Rejection explain_no_gain(const Candidate& candidate) const {
    for (size_t i = 0; i < candidate.executions.size(); ++i) {
      const Execution& execution = candidate.executions[i];
      if (execution.keeps && prediction_.other_savers(*execution.keeps, execution.calls).empty()) {
        return {"output_not_kept",
                fmt::format("nobody else keeps its output (read by {}), so keeping it instead of "
                            "the input frees nothing",
                            fmt::join(consumers(candidate.graph_site), ", "))};
      }
      for (const CallId call : execution.calls) {
        for (const StorageId storage : prediction_.kept_by(call)) {
          const auto savers = prediction_.other_savers(storage, execution.calls);
          if (savers.empty()) continue;
          const OperatorCall& other = report_.call(savers.front());
          return {"input_kept_elsewhere",
                  fmt::format("its input's storage is also kept by {} in '{}'", other.op,
                              other.module_path)};
        }
      }
    }
    return {"no_gain", "what it keeps of its own would cost as much as the input frees"};
  }

  /// A dropout that drops nothing hands its input on, but the default executor differentiates
  /// dropout by a formula of its own, which makes another tensor and a mask whatever p is.
  void note_copies_of_default_executor(Plan& plan) const {
    const int64_t count =
        std::count_if(candidates_.begin(), candidates_.end(), [](const Candidate& candidate) {
          return candidate.open && candidate.executions.front().keeps &&
                 is_read_by_idle_dropout(candidate.graph_site);
        });
    if (count == 0) return;
    plan.notes.push_back(fmt::format(
        "Accepted sites that are read by a dropout with p = 0: {}. TorchScript's default executor "
        "makes a copy there, which costs what they free: train with its profiling mode off "
        "(Python: torch._C._jit_set_profiling_mode(False); C++: torch::jit::getProfilingMode() = "
        "false), or make the file without these dropout modules.",
        count));
  }

  void note_rounding(Plan& plan) const {
    std::set<std::string> sentences;
    for (const Candidate& candidate : candidates_) {
      if (candidate.open) sentences.insert(candidate.graph_site.match().rounding);
    }
    sentences.erase("");
    plan.notes.insert(plan.notes.end(), sentences.begin(), sentences.end());
  }

  static bool is_rejected_refinement(const Candidate& candidate) {
    const auto& copies = candidate.graph_site.copies;
    return !candidate.open && !copies.empty() && copies.front().is_refinement;
  }

  Plan finish() {
    Plan plan;
    note_copies_of_default_executor(plan);
    note_rounding(plan);
    plan.saved_bytes_before = report_.totals.saved_bytes;
    plan.saved_bytes_after = prediction_.saved_bytes();
    for (Candidate& candidate : candidates_) {
      if (candidate.part_of_larger || is_rejected_refinement(candidate)) continue;
      Site& site = candidate.site;
      site.accepted = candidate.open;
      site.saved_bytes_delta = candidate.has_delta ? delta(candidate) : 0;
      if (candidate.open) {
        site.reason_code = "accepted";
        site.reason = candidate.graph_site.match().gain;
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
