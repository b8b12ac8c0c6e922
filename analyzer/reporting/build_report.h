// Builds a Report from a Trace: the stage that gives the observed step a meaning. Pure; knows no
// torch.
#pragma once

#include "analyzer/report.h"
#include "analyzer/trace.h"

namespace invact {

/// The sum of modules' bytes and `unattributed_bytes` is `saved_bytes`, and so is the sum of
/// storages' bytes.
Report build_report(const Trace& trace);

/// Storages that one report has and the other has not, set off by dtype and bytes, whatever saved
/// them.
ExecutorComparison compare_executors(const Report& eager, const Report& profiling);

}  // namespace invact
