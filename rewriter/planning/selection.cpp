#include "rewriter/planning/selection.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_set>

#include "rewriter/planning/no_gain.h"
#include "rewriter/planning/running_again.h"
#include "rewriter/planning/selection_bound.h"

namespace invact {
namespace {

// A pattern of several nodes goes before those within it, a chain that is run again before both.
constexpr int kPattern = 1;
constexpr int kRegion = 2;

/// Rounds of improving; each one frees bytes, and real models need two or three.
constexpr int kMaxRounds = 16;

}  // namespace

Selection::Selection(const Report& report, Prediction& prediction,
                     std::vector<Candidate>& candidates)
    : report_(report), prediction_(prediction), candidates_(candidates) {
  state_.taken.resize(candidates.size());
  state_.reasons.resize(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].open) continue;
    open_.push_back(i);
    for (const auto* node : candidates[i].graph_site.match().nodes) by_node_[node].push_back(i);
  }
  penalties_.resize(candidates.size());
  for (const size_t i : open_) penalties_[i] = least_worthwhile_bytes(candidates[i], report);
}

void Selection::choose() {
  begin(kPattern);
  settle();
  const bool has_regions =
      std::ranges::any_of(open_, [this](size_t i) { return level(i) == kRegion; });
  if (has_regions) {
    const State without = state_;
    const int64_t best = objective();
    begin(kRegion);
    settle();
    if (objective() >= best) restore(without);
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
  penalty_ = 0;
  penalties_.assign(candidates_.size(), 0);
  choose();
}

int64_t Selection::fewest_bytes() const {
  std::vector<AlternativeGroup> groups;
  for (const auto& component : components()) {
    AlternativeGroup& group = groups.emplace_back();
    for (const size_t i : component) {
      std::vector<size_t> excluded;
      for (const size_t rival : rivals(i)) {
        const auto found = std::ranges::lower_bound(component, rival);
        excluded.push_back(static_cast<size_t>(found - component.begin()));
      }
      group.push_back({candidates_[i].executions, std::move(excluded)});
    }
  }
  return invact::fewest_bytes(report_, prediction_, groups);
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
  for (const size_t i : open_) {
    for (const size_t rival : rivals(i)) root[find(i)] = find(rival);
    for (const Execution& execution : candidates_[i].executions) {
      for (const CallId call : execution.calls) {
        for (const StorageId storage : prediction_.kept_by(call)) join(storage, i);
      }
      for (const StorageId storage : execution.inputs) join(storage, i);
      if (execution.keeps) join(*execution.keeps, i);
      if (execution.releases) join(*execution.releases, i);
    }
  }
  std::map<size_t, std::vector<size_t>> members;
  for (const size_t i : open_) members[find(i)].push_back(i);
  std::vector<std::vector<size_t>> result;
  for (auto& [first, component] : members) result.push_back(std::move(component));
  return result;
}

/// Leaves the best combination taken; of equal ones, the one that was there.
void Selection::try_all(std::span<const size_t> sites) {
  std::vector<size_t> best;
  for (const size_t i : sites) {
    if (state_.taken[i]) best.push_back(i);
  }
  int64_t fewest = objective();
  for (const size_t i : best) drop(i);
  std::vector<size_t> chosen;
  const auto visit = [&](const auto& self, size_t position) -> void {
    if (position == sites.size()) {
      if (objective() < fewest) {
        fewest = objective();
        best = chosen;
      }
      return;
    }
    self(self, position + 1);
    const size_t i = sites[position];
    if (has_taken_rival(i, -1)) return;
    take(i);
    chosen.push_back(i);
    self(self, position + 1);
    chosen.pop_back();
    drop(i);
  };
  visit(visit, 0);
  for (const size_t i : best) take(i);
}

void Selection::spare_time(int64_t budget) {
  std::vector<std::pair<double, size_t>> by_cost;
  for (const size_t i : open_) {
    if (!state_.taken[i] || level(i) != kRegion) continue;
    const int64_t freed = std::max<int64_t>(1, -delta(candidates_[i]));
    by_cost.emplace_back(
        static_cast<double>(extra_ns(candidates_[i], report_)) / static_cast<double>(freed), i);
  }
  std::sort(by_cost.rbegin(), by_cost.rend());
  for (const auto& [cost, i] : by_cost) {
    drop(i);
    // What keeps its output instead takes no time to speak of.
    std::vector<size_t> instead;
    for (const size_t other : rivals(i)) {
      if (!has_taken_rival(other, -1) && try_taking(other)) instead.push_back(other);
    }
    if (prediction_.saved_bytes() > budget) {
      for (const size_t other : instead) drop(other);
      take(i);
    } else {
      state_.reasons[i] = {"within_budget", "is not needed to keep the budget"};
    }
  }
}

void Selection::finish() {
  for (const size_t i : open_) {
    Candidate& candidate = candidates_[i];
    candidate.open = state_.taken[i];
    if (candidate.open) continue;
    candidate.part_of_larger = has_taken_rival(i, level(i));
    if (!candidate.part_of_larger) candidate.reject(state_.reasons[i]);
  }
  hide_what_larger_ones_hold();
}

/// What could not be taken by itself needs no reason where something larger around it is.
void Selection::hide_what_larger_ones_hold() {
  std::unordered_set<const torch::jit::Node*> held;
  for (const size_t i : open_) {
    const Match& match = candidates_[i].graph_site.match();
    if (state_.taken[i] && (match.is_recomputed() || match.nodes.size() > 1)) {
      held.insert(match.nodes.begin(), match.nodes.end());
    }
  }
  for (Candidate& candidate : candidates_) {
    if (candidate.open || candidate.graph_site.copies.empty()) continue;
    candidate.part_of_larger |=
        std::ranges::any_of(candidate.graph_site.match().nodes,
                            [&held](const auto* node) { return held.contains(node); });
  }
}

int64_t Selection::delta(const Candidate& candidate) {
  // What is taken of the same nodes is out of the way meanwhile, the candidate itself included.
  const auto index = static_cast<size_t>(&candidate - candidates_.data());
  std::vector<size_t> dropped;
  if (state_.taken[index]) dropped.push_back(index);
  for (const size_t other : rivals(index)) {
    if (state_.taken[other]) dropped.push_back(other);
  }
  for (const size_t other : dropped) drop(other);
  const int64_t bytes = prediction_.delta(candidate.executions);
  for (const size_t other : dropped) take(other);
  return bytes;
}

int Selection::level(size_t candidate) const {
  const Match& match = candidates_[candidate].graph_site.match();
  if (match.is_recomputed()) return kRegion;
  return match.has_arguments() ? kPattern : 0;
}

/// Others that would replace some of the same nodes.
std::vector<size_t> Selection::rivals(size_t candidate) const {
  std::vector<size_t> others;
  if (candidates_[candidate].graph_site.copies.empty()) return others;
  for (const auto* node : candidates_[candidate].graph_site.match().nodes) {
    const auto found = by_node_.find(node);
    if (found == by_node_.end()) continue;
    for (const size_t other : found->second) {
      if (other != candidate && std::ranges::count(others, other) == 0) others.push_back(other);
    }
  }
  return others;
}

bool Selection::has_taken_rival(size_t candidate, int above) const {
  return std::ranges::any_of(
      rivals(candidate), [&](size_t other) { return state_.taken[other] && level(other) > above; });
}

void Selection::take(size_t candidate) {
  state_.taken[candidate] = true;
  penalty_ += penalties_[candidate];
  for (const Execution& execution : candidates_[candidate].executions) {
    prediction_.replace(execution);
  }
}

void Selection::drop(size_t candidate) {
  state_.taken[candidate] = false;
  penalty_ -= penalties_[candidate];
  for (const Execution& execution : candidates_[candidate].executions) {
    prediction_.put_back(execution);
  }
}

void Selection::reset() {
  for (const size_t i : open_) {
    if (state_.taken[i]) drop(i);
  }
}

void Selection::restore(const State& state) {
  reset();
  for (const size_t i : open_) {
    if (state.taken[i]) take(i);
  }
  state_.reasons = state.reasons;
}

/// Starts from all sites up to a level, the larger ones first, since two that share an input only
/// gain together.
void Selection::begin(int highest_level) {
  reset();
  for (int current = highest_level; current >= 0; --current) {
    for (const size_t i : open_) {
      if (level(i) == current && !has_taken_rival(i, -1)) take(i);
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
      const int64_t with = objective();
      drop(i);
      const int64_t without = objective();
      take(i);
      return with - without;
    };
    for (const size_t i : open_) {
      if (!state_.taken[i]) continue;
      if (const int64_t bytes = bytes_of(i); bytes >= 0) gainless.emplace_back(-bytes, i);
    }
    std::sort(gainless.begin(), gainless.end());
    for (const auto& [bytes, i] : gainless) {
      if (bytes_of(i) < 0) continue;
      drop(i);
      state_.reasons[i] = why_no_gain(candidates_[i], prediction_, report_);
      changed = any = true;
      // What lies within has its turn.
      for (const size_t other : rivals(i)) {
        if (!state_.taken[other] && level(other) < level(i) && !has_taken_rival(other, -1)) {
          take(other);
        }
      }
    }
  }
  return any;
}

bool Selection::improve() {
  bool any = false;
  for (const size_t i : open_) {
    if (!state_.taken[i]) any |= try_taking(i);
  }
  return any;
}

/// In place of the rivals that are taken, where that frees bytes.
bool Selection::try_taking(size_t candidate) {
  const int64_t before = objective();
  std::vector<size_t> replaced;
  for (const size_t other : rivals(candidate)) {
    if (!state_.taken[other]) continue;
    drop(other);
    replaced.push_back(other);
  }
  take(candidate);
  if (objective() < before) return true;
  drop(candidate);
  if (state_.reasons[candidate].code.empty()) {
    state_.reasons[candidate] = why_no_gain(candidates_[candidate], prediction_, report_);
  }
  for (const size_t other : replaced) take(other);
  return false;
}

/// Sites that only free bytes beside each other, and together cost more than they free.
void Selection::give_up() {
  for (const size_t i : open_) {
    if (!state_.taken[i]) continue;
    drop(i);
    state_.reasons[i] = {"no_gain", "together with the other sites it frees nothing"};
  }
}

}  // namespace invact
