// The bench's closing table: what was found beside the goals. Text only; pure.
#pragma once

#include <span>
#include <string>

#include "bench/goals.h"

namespace invact::bench {

/// One line per operator, direction and dtype that has a goal; one column per count and number of
/// threads. Empty without findings.
std::string render_goals(std::span<const Finding> findings);

}  // namespace invact::bench
