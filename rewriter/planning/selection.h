// The search for the sites to take: those that together leave the model with the fewest bytes.
// Pure set arithmetic over the candidates' executions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/choice.h"
#include "rewriter/planning/prediction.h"

namespace invact {

class Selection {
 public:
  /// `candidates`: those that are open may be taken. All must outlive the result; `prediction` has
  /// nothing replaced, and counts what is taken from here on.
  Selection(const Report& report, Prediction& prediction, std::vector<Candidate>& candidates);

  /// Decides which candidates are taken.
  ///
  /// Sites that share nodes or storages, directly or through others, are decided together. Up to
  /// ten such sites all combinations are tried: no other choice saves fewer bytes. Of more, no site
  /// of the result could be dropped, and none left out taken in place of those that it excludes,
  /// without more bytes: a local optimum, found from two starts, one with the recompute segments
  /// and one without; of equal ones the one without is taken. A larger group is searched once more,
  /// ten neighbors at a time.
  ///
  /// To run a segment again takes time: it must free an eighth of its largest tensor over what the
  /// strategies free that save its result, which is more than the bits that those need.
  void choose();

  /// Decides again where bytes alone count, whatever time running again takes.
  void choose_by_bytes_alone();

  /// A bound below what the best choice of all saves: no choice saves fewer bytes.
  int64_t fewest_bytes() const;

  /// Drops segments, those first that cost the most time for what they free, as long as no more
  /// than `budget` bytes are saved.
  void spare_time(int64_t budget);

  /// Leaves open what is taken. The others are rejected with their reason, or become part of the
  /// larger one that is taken and holds their nodes.
  void finish();

  /// The bytes that this site adds to the others that are taken, but for those of the same nodes;
  /// negative: it frees them. `candidate` is one of those given.
  int64_t delta(const Candidate& candidate);

 private:
  std::vector<std::vector<size_t>> components() const;
  void try_all(std::span<const size_t> sites);
  void begin(Choice::Level highest_level);
  void settle();
  bool drop_gainless();
  bool improve();
  bool try_taking(size_t candidate);
  void give_up();
  void hide_what_larger_ones_hold();

  const Report& report_;
  Prediction& prediction_;
  std::vector<Candidate>& candidates_;
  Choice choice_;
  std::vector<Rejection> reasons_;  ///< By candidate: why it is not taken.
};

}  // namespace invact
