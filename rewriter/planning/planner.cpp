#include "rewriter/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "analyzer/error.h"
#include "analyzer/model/model.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/legality.h"
#include "rewriter/planning/prediction.h"
#include "rewriter/planning/running_again.h"
#include "rewriter/planning/segment_candidates.h"
#include "rewriter/planning/selection.h"

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
        candidates_(find_candidates(report, inlined_,
                                    {model.module, prediction_, report.run.device == "cpu"})) {
    for (Candidate& region : find_region_candidates(report, prediction_, inlined_)) {
      candidates_.push_back(std::move(region));
    }
    sort_by_order_of_running();
  }

  Plan make() {
    for (Candidate& candidate : candidates_) {
      if (candidate.open) reject_unsafe(candidate);
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
  /// --skip names an operator that a chain holds.
  bool skips_member(const Match& match) const {
    return match.is_recomputed() &&
           std::ranges::any_of(match.nodes, [this](const torch::jit::Node* node) {
             const std::string op = node->kind().toQualString();
             return std::ranges::any_of(options_.skip, [&op](const std::string& name) {
               return name == op || name == unqualified(op);
             });
           });
  }

  /// As the sites stand in the code; behind them those of which no place is known.
  void sort_by_order_of_running() {
    std::unordered_map<const torch::jit::Node*, size_t> order;
    for (const auto* const node : inlined_.nodes()) order.emplace(node, order.size());
    const auto place_of = [&order](const Candidate& candidate) {
      const auto& copies = candidate.graph_site.copies;
      return copies.empty() ? order.size() : order.at(copies.front().output());
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
      if (!accepted || site->second->accepted) continue;
      throw_usage_error(fmt::format("The given plan accepts site '{}', which cannot be: {} [{}].",
                                    id, site->second->reason, site->second->reason_code));
    }
  }

  void reject_unsafe(Candidate& candidate) {
    const GraphSite& site = candidate.graph_site;
    const Match& match = site.match();
    const auto keeps_as_today = find_kept(candidate);
    if (names_operator(options_.skip, match) || skips_member(match) ||
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
    if (candidate.executions.front().keeps || candidate.executions.front().releases) {
      if (const auto rejection = aliases_.check_output_written(site)) {
        return candidate.reject(*rejection);
      }
    }
    if (const auto rejection = aliases_.check_written_between(site)) {
      return candidate.reject(*rejection);
    }
    if (const auto rejection = aliases_.check_inputs_written(site)) candidate.reject(*rejection);
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

  /// A better form of a site that stands for itself, or a chain that nobody asked for by name.
  bool is_silent(const Candidate& candidate) const {
    const auto& copies = candidate.graph_site.copies;
    if (candidate.open || copies.empty()) return false;
    const bool is_asked_for = options_.decisions && options_.decisions->contains(candidate.site.id);
    return copies.front().is_refinement || (copies.front().is_recomputed() && !is_asked_for);
  }

  Plan finish(Selection& selection) {
    Plan plan;
    note_copies_of_default_executor(plan);
    note_rounding(plan);
    plan.saved_bytes_before = report_.totals.saved_bytes;
    plan.saved_bytes_after = prediction_.saved_bytes();
    for (Candidate& candidate : candidates_) {
      if (candidate.part_of_larger || is_silent(candidate)) continue;
      Site& site = candidate.site;
      site.accepted = candidate.open;
      if (candidate.graph_site.copies.size() > 0 && candidate.graph_site.match().is_recomputed()) {
        site.extra_ns = extra_ns(candidate, report_);
      }
      site.saved_bytes_delta = candidate.has_delta ? selection.delta(candidate) : 0;
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
