#include "rewriter/planning/planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "analyzer/error.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/legality.h"
#include "rewriter/planning/prediction.h"
#include "rewriter/planning/segment_candidates.h"
#include "rewriter/planning/selection.h"

namespace invact {
namespace {

/// Whether `name` is the operator's whole name or one of its aliases.
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
        candidates_(find_candidates(
            report, inlined_, {model.module, prediction_.observed(), report.run.device == "cpu"})) {
    for (Candidate& segment : find_segment_candidates(report, prediction_.observed(), inlined_)) {
      candidates_.push_back(std::move(segment));
    }
    sort_by_order_of_running();
  }

  Plan make() {
    for (Candidate& candidate : candidates_) {
      if (candidate.is_open()) reject_unsafe(candidate);
    }
    Selection selection(report_, prediction_, candidates_);
    selection.choose();
    std::optional<int64_t> budget;
    if (options_.budget) budget = options_.budget(report_.totals.saved_bytes);
    if (budget && prediction_.saved_bytes() > *budget) selection.choose_by_bytes_alone();
    if (budget) selection.spare_time(*budget);
    const int64_t fewest = selection.fewest_bytes();
    selection.finish();
    Plan plan = finish(selection);
    plan.budget = budget;
    plan.fewest_saved_bytes = fewest;
    check_decisions(plan);
    return plan;
  }

 private:
  /// Whether --skip names an operator that a segment holds.
  bool skips_member(const Candidate& candidate) const {
    return candidate.is_segment() &&
           std::ranges::any_of(candidate.match().nodes, [this](const torch::jit::Node* node) {
             const std::string op = node->kind().toQualString();
             return std::ranges::any_of(options_.skip, [&op](const std::string& name) {
               return name == op || name == unqualified(op);
             });
           });
  }

  /// As the sites stand in the code; behind them those whose place is not known.
  void sort_by_order_of_running() {
    std::unordered_map<const torch::jit::Node*, size_t> order;
    for (const auto* const node : inlined_.nodes()) order.emplace(node, order.size());
    const auto place_of = [&order](const Candidate& candidate) {
      return candidate.copies.empty() ? order.size() : order.at(candidate.match().output());
    };
    std::stable_sort(
        candidates_.begin(), candidates_.end(),
        [&](const Candidate& a, const Candidate& b) { return place_of(a) < place_of(b); });
  }

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
      const Decision& decision = site->second->decision;
      if (!accepted || decision.accepted) continue;
      throw_usage_error(fmt::format("The given plan accepts site '{}', which cannot be: {} [{}].",
                                    id, decision.reason, decision.reason_code));
    }
  }

  void reject_unsafe(Candidate& candidate) {
    const Match& match = candidate.match();
    const auto saves_as_before = describe_executions(candidate);
    if (names_operator(options_.skip, match) || skips_member(candidate) ||
        (!options_.only.empty() && !names_operator(options_.only, match))) {
      return candidate.reject({"excluded", "excluded by --only or --skip"});
    }
    if (!options_.strategies.empty() && !match.strategy.empty() &&
        std::ranges::count(options_.strategies, match.strategy) == 0) {
      return candidate.reject({"excluded", "excluded by --strategy"});
    }
    if (!is_decided_for(candidate.site.id)) {
      return candidate.reject({"excluded", "left alone by the given plan"});
    }
    if (match.refusal) return candidate.reject(*match.refusal);
    if (options_.exact && match.gradients != GradientBits::kSame) {
      return candidate.reject(
          {"not_exact", "its gradient is right up to rounding, not bit for bit (--exact)"});
    }
    if (candidate.run_count == 0) {
      return candidate.reject({"not_executed", "did not run in the observed step"});
    }
    if (candidate.runs.empty()) {
      return candidate.reject({"saves_nothing", "keeps nothing: its input needs no gradient"});
    }
    if (saves_as_before) return candidate.reject(*saves_as_before);
    if (const auto rejection = check_writers(candidate)) candidate.reject(*rejection);
  }

  /// Whether an operator writes in place to what the replacement would read or save.
  std::optional<Rejection> check_writers(const Candidate& candidate) const {
    const Execution& execution = candidate.executions.front();
    if (execution.saved_storage || execution.released_storage) {
      if (const auto rejection = aliases_.check_output_written(candidate)) return rejection;
    }
    if (const auto rejection = aliases_.check_written_between(candidate)) return rejection;
    return aliases_.check_inputs_written(candidate);
  }

  /// Fills in what each run saves once replaced, where the pattern says it; or returns why a run
  /// would save what it saves today.
  std::optional<Rejection> describe_executions(Candidate& candidate) const {
    const Match& match = candidate.match();
    if (!match.saved_instead) return std::nullopt;
    std::vector<Execution> executions;
    for (const ObservedRun& run : candidate.runs) {
      const auto saved = match.saved_instead(report_.call(run.output), report_);
      if (const auto* const rejection = std::get_if<Rejection>(&saved)) return *rejection;
      const auto& instead = std::get<SavedInstead>(saved);
      executions.push_back({run.calls, instead.storage, instead.bytes});
    }
    candidate.executions = std::move(executions);
    return std::nullopt;
  }

  /// A dropout that drops nothing hands its input on, but the default executor differentiates
  /// dropout by a formula of its own, which makes another tensor and a mask whatever p is.
  void note_copies_of_default_executor(Plan& plan) const {
    const int64_t count = std::ranges::count_if(candidates_, [](const Candidate& candidate) {
      return candidate.is_open() && candidate.executions.front().saved_storage &&
             is_read_by_idle_dropout(candidate);
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
      if (candidate.is_open()) sentences.insert(candidate.match().rounding);
    }
    sentences.erase("");
    plan.notes.insert(plan.notes.end(), sentences.begin(), sentences.end());
  }

  /// Whether the plan lists a site; see Listing.
  bool is_listed(const Candidate& candidate) const {
    if (candidate.status == Candidate::Status::kPartOfLarger) return false;
    if (candidate.is_open() || candidate.copies.empty()) return true;
    const bool is_asked_for = candidate.is_segment() && options_.decisions &&
                              options_.decisions->contains(candidate.site.id);
    return candidate.match().listing == Listing::kAlways || is_asked_for;
  }

  Plan finish(Selection& selection) {
    Plan plan;
    note_copies_of_default_executor(plan);
    note_rounding(plan);
    plan.saved_bytes_before = report_.totals.saved_bytes;
    plan.saved_bytes_after = prediction_.saved_bytes();
    for (Candidate& candidate : candidates_) {
      if (!is_listed(candidate)) continue;
      Site& site = candidate.site;
      if (candidate.is_segment()) site.extra_ns = extra_ns(candidate, report_);
      site.saved_bytes_delta = selection.delta(candidate);
      if (candidate.is_open()) site.decision = {true, "accepted", candidate.match().gain};
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

Plan make_plan(const Report& report, const Model& model, const PlanOptions& options) {
  check_operator_names(options.only, "--only");
  check_operator_names(options.skip, "--skip");
  return Planner(report, model, options).make();
}

}  // namespace invact
