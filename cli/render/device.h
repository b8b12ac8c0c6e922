// Text for people: what a GPU did in the step, from the DeviceReport.
#pragma once

#include <string>

#include "analyzer/device_report.h"
#include "cli/render/render.h"

namespace invact {

/// Memory at its heights, then the operators by GPU time. Says so where records were lost, and
/// where CUPTI was not asked.
std::string render_device(const DeviceReport& report, const RenderOptions& options);

}  // namespace invact
