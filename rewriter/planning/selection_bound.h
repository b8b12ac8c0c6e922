// How few bytes a choice of sites could leave at best. Pure set arithmetic, beside the search that
// chooses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/planning/prediction.h"

namespace invact {

/// A site that may be taken or left.
struct Alternative {
  std::vector<Execution> executions;
  std::vector<size_t> rivals;  ///< Those of its group that exclude it, by index.
};

/// Sites that share storages or exclude each other, in the order of running; none shares any with
/// those of another group.
using AlternativeGroup = std::vector<Alternative>;

/// Sites of which all combinations are tried.
constexpr size_t kMaxTried = 10;

/// Bytes of which no choice among `groups` keeps fewer. Of groups up to kMaxTried sites it is what
/// the best choice keeps. A larger one is cut into parts of so many sites, each storage is counted
/// in one part alone, and of the other parts' sites the best is assumed: less may be told than can
/// be reached, never more. `prediction` tells who keeps what today, whatever is replaced in it.
/// Every group holds a site.
int64_t fewest_bytes(const Report& report, const Prediction& prediction,
                     const std::vector<AlternativeGroup>& groups);

}  // namespace invact
