// Recompute regions as candidates of a plan: per module instance, with what each execution would
// keep and give back. Reads only.
#pragma once

#include <vector>

#include "analyzer/report.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/planning/candidates.h"

namespace invact {

/// Every region that ran and could free something, open.
std::vector<Candidate> find_region_candidates(const Report& report, const Prediction& prediction,
                                              const InlinedModel& inlined);

}  // namespace invact
