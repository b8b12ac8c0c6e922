// Builds the MemoryTimeline of a Report from the allocator's events in a Trace. Pure; knows no
// torch.
#pragma once

#include <optional>

#include "analyzer/report.h"
#include "analyzer/trace.h"

namespace invact {

/// The timeline of the step that `trace` recorded; none where no whole step was run.
std::optional<MemoryTimeline> build_timeline(const Trace& trace);

}  // namespace invact
