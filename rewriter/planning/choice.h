// A choice among the open candidates of a plan: which are taken, what the model then saves, and
// which candidates exclude each other. The selection (selection.h) searches for the best one.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/prediction.h"

namespace invact {

/// How long a candidate's operators ran in the observed forward: what running them again takes.
int64_t extra_ns(const Candidate& candidate, const Report& report);

class Choice {
 public:
  /// How much of the code an edit takes up: a larger one goes before the smaller ones within it.
  enum Level { kRename, kPattern, kSegment };

  /// Nothing is taken. All must outlive the result; `prediction` has nothing replaced, and counts
  /// what is taken from here on.
  Choice(const Report& report, Prediction& prediction, const std::vector<Candidate>& candidates);

  /// The candidates that may be taken, by index.
  const std::vector<size_t>& open() const { return open_; }

  bool is_taken(size_t candidate) const { return taken_[candidate]; }
  void take(size_t candidate);
  void drop(size_t candidate);

  /// By candidate; for restore().
  const std::vector<bool>& taken() const { return taken_; }
  void restore(const std::vector<bool>& taken);

  /// The bytes that the model saves, and a penalty for each segment that is run again: the bytes
  /// that it must free at least (Match::required_eighths).
  int64_t objective() const { return prediction_.saved_bytes() + penalty_; }

  /// From now on the objective is bytes alone.
  void drop_penalties();

  Level level(size_t candidate) const;

  /// The other candidates that would replace some of the same nodes.
  std::vector<size_t> rivals(size_t candidate) const;
  bool has_taken_rival(size_t candidate) const;
  bool has_taken_rival_above(size_t candidate, Level level) const;

  /// The bytes that a candidate adds to the others that are taken, without its rivals; negative:
  /// it frees them. What is taken is the same afterwards.
  int64_t delta(size_t candidate);

 private:
  Prediction& prediction_;
  const std::vector<Candidate>& candidates_;
  std::vector<size_t> open_;
  std::unordered_map<const torch::jit::Node*, std::vector<size_t>> by_node_;
  std::vector<bool> taken_;
  std::vector<int64_t> penalties_;  ///< By candidate, in bytes.
  int64_t penalty_ = 0;             ///< Of those that are taken.
};

}  // namespace invact
