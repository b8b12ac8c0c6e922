// Which of the possible sites are taken: those that together leave the model with the fewest bytes.
// Pure set arithmetic over the candidates' executions.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/prediction.h"

namespace invact {

class Selection {
 public:
  /// `candidates`: those that are open may be taken. All must outlive the result; `prediction` has
  /// nothing replaced.
  Selection(const Report& report, Prediction& prediction, std::vector<Candidate>& candidates);

  /// `prediction` tells what the model then keeps.
  ///
  /// Sites that share nodes or storages, directly or through others, are decided together. Up to
  /// ten such sites all combinations are tried: nothing keeps fewer bytes. Of more, no site of the
  /// result could be dropped, and none left out taken in place of those that it excludes, without
  /// more bytes: a local optimum, found from two starts, one with the recompute regions and one
  /// without; of equal ones the one without is taken. To run a chain
  /// again takes time: it must free an eighth of its largest tensor over what the strategies free
  /// that keep its result, which is more than the bits that those need.
  ///
  /// A larger group is searched once more, ten neighbors at a time.
  void choose();

  /// The same where bytes alone count, whatever running again takes.
  void choose_by_bytes_alone();

  /// What the best choice of all keeps, as far as it can be told: never more than that.
  int64_t fewest_bytes() const;

  /// Lets chains run once again, the dearest first for what they free, as long as no more than
  /// `budget` bytes are kept.
  void spare_time(int64_t budget);

  /// Leaves open what is taken; the others get their reason, or `part_of_larger` where the nodes
  /// belong to one that is taken.
  void finish();

  /// What this site adds to the others that are taken, but for those of the same nodes: negative
  /// frees bytes. `candidate` is one of those given.
  int64_t delta(const Candidate& candidate);

 private:
  struct State {
    std::vector<bool> taken;
    std::vector<Rejection> reasons;
  };

  std::vector<std::vector<size_t>> components() const;
  void try_all(std::span<const size_t> sites);
  std::vector<size_t> rivals(size_t candidate) const;
  int level(size_t candidate) const;
  bool has_taken_rival(size_t candidate, int above) const;
  int64_t objective() const { return prediction_.saved_bytes() + penalty_; }
  void take(size_t candidate);
  void drop(size_t candidate);
  void begin(int highest_level);
  void settle();
  bool drop_gainless();
  bool improve();
  bool try_taking(size_t candidate);
  void reset();
  void restore(const State& state);
  void give_up();
  void hide_what_larger_ones_hold();

  const Report& report_;
  Prediction& prediction_;
  std::vector<Candidate>& candidates_;
  std::vector<size_t> open_;  ///< Candidates that may be taken.
  std::unordered_map<const torch::jit::Node*, std::vector<size_t>> by_node_;
  std::vector<int64_t> penalties_;  ///< By candidate, in bytes.
  int64_t penalty_ = 0;             ///< Of those taken.
  State state_;
};

}  // namespace invact
