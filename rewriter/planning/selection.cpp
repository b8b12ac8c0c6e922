#include "rewriter/planning/selection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "rewriter/planning/legality.h"
#include "rewriter/planning/selection_bound.h"

namespace invact {
namespace {

/// Rounds of improving; each one frees bytes, and real models need two or three.
constexpr int kMaxRounds = 16;

/// Why a site that could be taken frees nothing.
Rejection why_no_gain(const Candidate& candidate, const ObservedSavers& savers,
                      const Report& report) {
  for (const Execution& execution : candidate.executions) {
    const auto& output = execution.saved_storage;
    if (output && savers.other_savers(*output, execution.calls).empty()) {
      return {"output_not_kept",
              fmt::format("nobody else keeps its output (read by {}), so keeping it instead of "
                          "the input frees nothing",
                          fmt::join(consumers(candidate), ", "))};
    }
    for (const CallId call : execution.calls) {
      for (const StorageId storage : savers.saved_by(call)) {
        const auto others = savers.other_savers(storage, execution.calls);
        if (others.empty()) continue;
        const OperatorCall& other = report.call(others.front());
        return {"input_kept_elsewhere", fmt::format("its input's storage is also kept by {} in "
                                                    "'{}'",
                                                    other.op, other.module_path)};
      }
    }
  }
  return {"no_gain", "what it keeps of its own would cost as much as the input frees"};
}

}  // namespace

Selection::Selection(const Report& report, Prediction& prediction,
                     std::vector<Candidate>& candidates)
    : report_(report),
      prediction_(prediction),
      candidates_(candidates),
      choice_(report, prediction, candidates),
      reasons_(candidates.size()) {}

void Selection::choose() {
  begin(Choice::kPattern);
  settle();
  const bool has_segments = std::ranges::any_of(
      choice_.open(), [this](size_t i) { return choice_.level(i) == Choice::kSegment; });
  if (has_segments) {
    const std::vector<bool> without = choice_.taken();
    const std::vector<Rejection> reasons_without = reasons_;
    const int64_t best = choice_.objective();
    begin(Choice::kSegment);
    settle();
    if (choice_.objective() >= best) {
      choice_.restore(without);
      reasons_ = reasons_without;
    }
  }
  for (const auto& component : components()) {
    const std::span<const size_t> sites(component);
    for (size_t first = 0;; first += kMaxTried / 2) {
      try_all(sites.subspan(first, std::min(kMaxTried, sites.size() - first)));
      if (first + kMaxTried >= sites.size()) break;
    }
  }
  if (prediction_.saved_bytes() > report_.totals.saved_bytes) give_up();
}

void Selection::choose_by_bytes_alone() {
  choice_.drop_penalties();
  choose();
}

int64_t Selection::fewest_bytes() const {
  std::vector<AlternativeGroup> groups;
  for (const auto& component : components()) {
    AlternativeGroup& group = groups.emplace_back();
    for (const size_t i : component) {
      std::vector<size_t> excluded;
      for (const size_t rival : choice_.rivals(i)) {
        const auto found = std::ranges::lower_bound(component, rival);
        excluded.push_back(static_cast<size_t>(found - component.begin()));
      }
      group.push_back({candidates_[i].executions, std::move(excluded)});
    }
  }
  return invact::fewest_bytes(report_, prediction_.observed(), groups);
}

/// Sites that share nodes or storages, directly or through others, each in the order of running.
std::vector<std::vector<size_t>> Selection::components() const {
  std::vector<size_t> root(candidates_.size());
  std::iota(root.begin(), root.end(), size_t{0});
  const auto find = [&root](size_t i) {
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
  };
  std::unordered_map<int64_t, size_t> by_storage;
  const auto join = [&](StorageId storage, size_t i) {
    const auto [found, fresh] = by_storage.try_emplace(storage.value, i);
    if (!fresh) root[find(i)] = find(found->second);
  };
  for (const size_t i : choice_.open()) {
    for (const size_t rival : choice_.rivals(i)) root[find(i)] = find(rival);
    for (const Execution& execution : candidates_[i].executions) {
      for (const CallId call : execution.calls) {
        for (const StorageId storage : prediction_.observed().saved_by(call)) join(storage, i);
      }
      for (const StorageId storage : execution.saved_inputs) join(storage, i);
      if (execution.saved_storage) join(*execution.saved_storage, i);
      if (execution.released_storage) join(*execution.released_storage, i);
    }
  }
  std::map<size_t, std::vector<size_t>> members;
  for (const size_t i : choice_.open()) members[find(i)].push_back(i);
  std::vector<std::vector<size_t>> result;
  for (auto& [first, component] : members) result.push_back(std::move(component));
  return result;
}

/// Leaves the best combination taken; of equal ones, the one that was there.
void Selection::try_all(std::span<const size_t> sites) {
  std::vector<size_t> best;
  for (const size_t i : sites) {
    if (choice_.is_taken(i)) best.push_back(i);
  }
  int64_t fewest = choice_.objective();
  for (const size_t i : best) choice_.drop(i);
  std::vector<size_t> chosen;
  const auto visit = [&](const auto& self, size_t position) -> void {
    if (position == sites.size()) {
      if (choice_.objective() < fewest) {
        fewest = choice_.objective();
        best = chosen;
      }
      return;
    }
    self(self, position + 1);
    const size_t i = sites[position];
    if (choice_.has_taken_rival(i)) return;
    choice_.take(i);
    chosen.push_back(i);
    self(self, position + 1);
    chosen.pop_back();
    choice_.drop(i);
  };
  visit(visit, 0);
  for (const size_t i : best) choice_.take(i);
}

void Selection::spare_time(int64_t budget) {
  std::vector<std::pair<double, size_t>> by_cost;
  for (const size_t i : choice_.open()) {
    if (!choice_.is_taken(i) || choice_.level(i) != Choice::kSegment) continue;
    const int64_t freed = std::max<int64_t>(1, -choice_.delta(i));
    by_cost.emplace_back(
        static_cast<double>(extra_ns(candidates_[i], report_)) / static_cast<double>(freed), i);
  }
  std::sort(by_cost.rbegin(), by_cost.rend());
  for (const auto& [cost, i] : by_cost) {
    choice_.drop(i);
    // A site that saves its output instead takes no time worth counting.
    std::vector<size_t> instead;
    for (const size_t other : choice_.rivals(i)) {
      if (!choice_.has_taken_rival(other) && try_taking(other)) instead.push_back(other);
    }
    if (prediction_.saved_bytes() > budget) {
      for (const size_t other : instead) choice_.drop(other);
      choice_.take(i);
    } else {
      reasons_[i] = {"within_budget", "is not needed to keep the budget"};
    }
  }
}

int64_t Selection::delta(const Candidate& candidate) {
  return choice_.delta(static_cast<size_t>(&candidate - candidates_.data()));
}

void Selection::finish() {
  for (const size_t i : choice_.open()) {
    if (choice_.is_taken(i)) continue;
    if (choice_.has_taken_rival_above(i, choice_.level(i))) {
      candidates_[i].status = Candidate::Status::kPartOfLarger;
    } else {
      candidates_[i].reject(reasons_[i]);
    }
  }
  hide_what_larger_ones_hold();
}

/// What could not be taken by itself needs no reason where something larger around it is.
void Selection::hide_what_larger_ones_hold() {
  std::unordered_set<const torch::jit::Node*> held;
  for (const size_t i : choice_.open()) {
    const auto& nodes = candidates_[i].match().nodes;
    if (choice_.is_taken(i) && (candidates_[i].is_segment() || nodes.size() > 1)) {
      held.insert(nodes.begin(), nodes.end());
    }
  }
  for (Candidate& candidate : candidates_) {
    if (candidate.is_open() || candidate.copies.empty()) continue;
    const bool is_held = std::ranges::any_of(
        candidate.match().nodes, [&held](const auto* node) { return held.contains(node); });
    if (is_held) candidate.status = Candidate::Status::kPartOfLarger;
  }
}

/// Starts from all sites up to a level, the larger ones first, since two that share an input only
/// gain together.
void Selection::begin(Choice::Level highest_level) {
  choice_.restore(std::vector<bool>(candidates_.size()));
  for (int current = highest_level; current >= Choice::kRename; --current) {
    for (const size_t i : choice_.open()) {
      if (choice_.level(i) == current && !choice_.has_taken_rival(i)) choice_.take(i);
    }
  }
}

void Selection::settle() {
  for (int round = 0; round < kMaxRounds; ++round) {
    const bool dropped = drop_gainless();
    const bool improved = improve();
    if (!dropped && !improved) break;
  }
  drop_gainless();
}

/// The worst first: what others gain changes with every one that goes.
bool Selection::drop_gainless() {
  bool any = false;
  for (bool changed = true; changed;) {
    changed = false;
    std::vector<std::pair<int64_t, size_t>> gainless;
    const auto bytes_of = [this](size_t i) {
      const int64_t with = choice_.objective();
      choice_.drop(i);
      const int64_t without = choice_.objective();
      choice_.take(i);
      return with - without;
    };
    for (const size_t i : choice_.open()) {
      if (!choice_.is_taken(i)) continue;
      if (const int64_t bytes = bytes_of(i); bytes >= 0) gainless.emplace_back(-bytes, i);
    }
    std::sort(gainless.begin(), gainless.end());
    for (const auto& [bytes, i] : gainless) {
      if (bytes_of(i) < 0) continue;
      choice_.drop(i);
      reasons_[i] = why_no_gain(candidates_[i], prediction_.observed(), report_);
      changed = any = true;
      // What lies within has its turn.
      for (const size_t other : choice_.rivals(i)) {
        if (!choice_.is_taken(other) && choice_.level(other) < choice_.level(i) &&
            !choice_.has_taken_rival(other)) {
          choice_.take(other);
        }
      }
    }
  }
  return any;
}

bool Selection::improve() {
  bool any = false;
  for (const size_t i : choice_.open()) {
    if (!choice_.is_taken(i)) any |= try_taking(i);
  }
  return any;
}

/// In place of the rivals that are taken, where that frees bytes.
bool Selection::try_taking(size_t candidate) {
  const int64_t before = choice_.objective();
  std::vector<size_t> replaced;
  for (const size_t other : choice_.rivals(candidate)) {
    if (!choice_.is_taken(other)) continue;
    choice_.drop(other);
    replaced.push_back(other);
  }
  choice_.take(candidate);
  if (choice_.objective() < before) return true;
  choice_.drop(candidate);
  if (reasons_[candidate].code.empty()) {
    reasons_[candidate] = why_no_gain(candidates_[candidate], prediction_.observed(), report_);
  }
  for (const size_t other : replaced) choice_.take(other);
  return false;
}

/// Sites that only free bytes beside each other, and together cost more than they free.
void Selection::give_up() {
  for (const size_t i : choice_.open()) {
    if (!choice_.is_taken(i)) continue;
    choice_.drop(i);
    reasons_[i] = {"no_gain", "together with the other sites it frees nothing"};
  }
}

}  // namespace invact
