// The memory timeline as a Chrome trace, which Perfetto (ui.perfetto.dev) and chrome://tracing
// open. Pure; knows no torch.
#pragma once

#include <nlohmann/json.hpp>

#include "analyzer/report.h"

namespace invact {

/// Counters of live bytes by kind, slices for forward and backward, instants for the peak and for
/// each saved storage's release; events in order of time. Without a timeline only the names.
nlohmann::ordered_json chrome_trace(const Report& report);

}  // namespace invact
