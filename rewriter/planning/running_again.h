// What it costs to run a chain again in backward: time, and the bytes for which that is worth it.
// Pure arithmetic over the observed step.
#pragma once

#include <cstdint>

#include "analyzer/report.h"
#include "rewriter/planning/candidates.h"

namespace invact {

/// How long a chain's operators ran in the observed forward: what running them again takes.
int64_t extra_ns(const Candidate& candidate, const Report& report);

/// What a site must free at least, over what others free that do without: zero but for chains, and
/// for what may lapse during training. Selection::choose() says why.
int64_t least_worthwhile_bytes(const Candidate& candidate, const Report& report);

}  // namespace invact
