// The sites of a model while a plan is being made: where they stand in the graphs, and what they
// did in the observed step. Reads only; the planner decides.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "rewriter/patterns/graph_sites.h"
#include "rewriter/plan.h"
#include "rewriter/planning/prediction.h"

namespace invact {

/// One run of a site in the observed step, which saved something.
struct ObservedRun {
  std::vector<CallId> calls;  ///< The calls of its nodes that saved.
  CallId output;              ///< The call that made its result.
};

/// A site while it is being decided.
struct Candidate {
  enum class Status {
    kOpen,          ///< It may be accepted; once the selection is finished: it is.
    kRejected,      ///< The site's decision holds the reason.
    kPartOfLarger,  ///< It is replaced together with the pattern or segment around it.
  };

  Site site;
  std::vector<Match> copies;  ///< The site in the inlined graph, once per call of it.
  std::vector<ObservedRun> runs;
  int64_t run_count = 0;  ///< How often it ran, also without saving anything.
  /// What each of `runs` saves once replaced; empty where that is not known.
  std::vector<Execution> executions;
  Status status = Status::kOpen;

  const Match& match() const { return copies.front(); }
  bool is_open() const { return status == Status::kOpen; }
  bool is_segment() const { return std::holds_alternative<Recompute>(site.edit); }
  void reject(const Rejection& rejection) {
    status = Status::kRejected;
    site.decision = {false, rejection.code, rejection.reason};
  }
};

/// A site that may be accepted, described by its first match; its runs are not known yet.
Candidate make_candidate(GraphSite graph_site);

/// Every site of the model that `context` names, open, with its runs. Behind them, rejected, the
/// calls that no walk over the model's code reaches.
std::vector<Candidate> find_candidates(const Report& report, const InlinedModel& inlined,
                                       const MatchContext& context);

}  // namespace invact
