// Recompute segments as candidates of a plan: per module instance, with what each execution would
// save and give back. Reads only.
#pragma once

#include <vector>

#include "analyzer/report.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/planning/candidates.h"

namespace invact {

/// Every segment that ran and could free something, open.
std::vector<Candidate> find_segment_candidates(const Report& report, const ObservedSavers& savers,
                                               const InlinedModel& inlined);

}  // namespace invact
