// The sites of a model while a plan is being made: where they stand in the graphs, and what they
// did in the observed step. Reads only; the decisions are plan.cpp's.
#pragma once

#include <vector>

#include "rewriter/patterns/graph_sites.h"
#include "rewriter/plan.h"
#include "rewriter/planning/prediction.h"

namespace invact {

/// A site while it is being decided.
struct Candidate {
  GraphSite graph_site;
  Site site;
  std::vector<Execution> executions;  ///< In the observed step, those that saved something.
  std::vector<CallId> pending;  ///< Calls of its nodes that saved, since its last result was made.
  std::vector<CallId> outputs;  ///< The calls that made its results, one per execution.
  bool executed = false;
  bool has_delta = false;       ///< What each execution keeps once replaced is known.
  bool open = false;            ///< Not rejected yet.
  bool part_of_larger = false;  ///< Replaced together with the pattern around it.

  void reject(const Rejection& rejection) {
    open = false;
    site.reason_code = rejection.code;
    site.reason = rejection.reason;
  }
};

/// A site that may be taken, described by its first match; its executions are not known yet.
Candidate make_candidate(GraphSite graph_site);

/// Every site of the model that `context` names, open, with its executions; behind them the calls
/// that no walk over its code reaches, rejected.
std::vector<Candidate> find_candidates(const Report& report, const InlinedModel& inlined,
                                       const MatchContext& context);

}  // namespace invact
