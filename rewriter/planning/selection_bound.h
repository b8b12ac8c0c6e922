// A bound: how few bytes any choice of sites could leave. Pure set arithmetic, beside the search
// that chooses.
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

/// A number of bytes below which no choice among `groups` comes. Of groups up to kMaxTried sites it
/// is what the best choice saves. A larger group is cut into parts of so many sites: each storage
/// is counted in one part alone, and the best is assumed of the other parts' sites. The number may
/// then be less than can be reached, never more. Every group holds a site.
int64_t fewest_bytes(const Report& report, const ObservedSavers& observed,
                     const std::vector<AlternativeGroup>& groups);

}  // namespace invact
