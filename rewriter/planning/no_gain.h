// Why a site that could be taken frees nothing, for people.
#pragma once

#include "analyzer/report.h"
#include "rewriter/planning/candidates.h"
#include "rewriter/planning/prediction.h"

namespace invact {

/// `prediction`: with what is taken besides.
Rejection why_no_gain(const Candidate& candidate, const Prediction& prediction,
                      const Report& report);

}  // namespace invact
