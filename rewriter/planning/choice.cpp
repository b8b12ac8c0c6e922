#include "rewriter/planning/choice.h"

#include <algorithm>
#include <variant>

namespace invact {
namespace {

/// The bytes of the largest tensor that an execution reads or makes.
int64_t largest_tensor_bytes(const Execution& execution, const Report& report) {
  int64_t bytes = 0;
  for (const CallId id : execution.calls) {
    const OperatorCall& call = report.call(id);
    for (const auto* storages : {&call.inputs, &call.outputs}) {
      for (const StorageId storage : *storages) {
        const Storage& memory = report.storage(storage);
        if (memory.role == StorageRole::kActivation) bytes = std::max(bytes, memory.bytes);
      }
    }
  }
  return bytes;
}

/// The bytes that a site must free at least; see Match::required_eighths.
int64_t required_bytes(const Candidate& candidate, const Report& report) {
  const int64_t eighths = candidate.match().required_eighths;
  if (eighths == 0) return 0;
  int64_t bytes = 0;
  for (const Execution& execution : candidate.executions) {
    bytes += eighths * (largest_tensor_bytes(execution, report) / 8);
  }
  return bytes;
}

}  // namespace

int64_t extra_ns(const Candidate& candidate, const Report& report) {
  int64_t ns = 0;
  for (const Execution& execution : candidate.executions) {
    for (const CallId call : execution.calls) ns += report.call(call).forward_ns;
  }
  return ns;
}

Choice::Choice(const Report& report, Prediction& prediction,
               const std::vector<Candidate>& candidates)
    : prediction_(prediction),
      candidates_(candidates),
      taken_(candidates.size()),
      penalties_(candidates.size()) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].is_open()) continue;
    open_.push_back(i);
    penalties_[i] = required_bytes(candidates[i], report);
    for (const auto* node : candidates[i].match().nodes) by_node_[node].push_back(i);
  }
}

void Choice::take(size_t candidate) {
  taken_[candidate] = true;
  penalty_ += penalties_[candidate];
  for (const Execution& execution : candidates_[candidate].executions) {
    prediction_.replace(execution);
  }
}

void Choice::drop(size_t candidate) {
  taken_[candidate] = false;
  penalty_ -= penalties_[candidate];
  for (const Execution& execution : candidates_[candidate].executions) {
    prediction_.put_back(execution);
  }
}

void Choice::restore(const std::vector<bool>& taken) {
  for (const size_t i : open_) {
    if (taken_[i] && !taken[i]) drop(i);
  }
  for (const size_t i : open_) {
    if (taken[i] && !taken_[i]) take(i);
  }
}

void Choice::drop_penalties() {
  penalties_.assign(candidates_.size(), 0);
  penalty_ = 0;
}

Choice::Level Choice::level(size_t candidate) const {
  if (candidates_[candidate].is_segment()) return kSegment;
  const bool is_pattern = std::holds_alternative<ReplacePattern>(candidates_[candidate].site.edit);
  return is_pattern ? kPattern : kRename;
}

std::vector<size_t> Choice::rivals(size_t candidate) const {
  std::vector<size_t> others;
  if (candidates_[candidate].copies.empty()) return others;
  for (const auto* node : candidates_[candidate].match().nodes) {
    const auto found = by_node_.find(node);
    if (found == by_node_.end()) continue;
    for (const size_t other : found->second) {
      if (other != candidate && std::ranges::count(others, other) == 0) others.push_back(other);
    }
  }
  return others;
}

bool Choice::has_taken_rival(size_t candidate) const {
  return std::ranges::any_of(rivals(candidate), [this](size_t other) { return taken_[other]; });
}

bool Choice::has_taken_rival_above(size_t candidate, Level level_below) const {
  return std::ranges::any_of(
      rivals(candidate), [&](size_t other) { return taken_[other] && level(other) > level_below; });
}

int64_t Choice::delta(size_t candidate) {
  std::vector<size_t> dropped;
  if (taken_[candidate]) dropped.push_back(candidate);
  for (const size_t other : rivals(candidate)) {
    if (taken_[other]) dropped.push_back(other);
  }
  for (const size_t other : dropped) drop(other);
  const int64_t bytes = prediction_.delta(candidates_[candidate].executions);
  for (const size_t other : dropped) take(other);
  return bytes;
}

}  // namespace invact
