// Builds a DeviceReport from what a GPU did during one step, and says by which ids the records are
// joined with the model's operator calls. Pure; knows no torch and no CUPTI.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/device_activity.h"
#include "analyzer/device_report.h"
#include "analyzer/trace.h"

namespace invact {

enum class Pass { kForward, kBackward };

/// What an operator call pushes while its forward or its backward runs; never 0.
ExternalId external_id(CallId call, Pass pass);

/// The report of what CUPTI recorded. `calls` are the operator calls that pushed ids; index = id.
DeviceReport build_device_report(const DeviceActivity& activity,
                                 const std::vector<OperatorCall>& calls,
                                 const AllocatorBytes& allocator, int64_t saved_bytes);

/// Replaces each call's `forward_ns`, which the host's clock measured, by device time: an even
/// share of what its place in the code used, 0 where that used none. Changes nothing where no work
/// was recorded.
void use_device_times(const DeviceReport& report, std::vector<OperatorCall>& calls);

/// The report without CUPTI, from what PyTorch's allocator says; `why` CUPTI was not asked.
DeviceReport build_device_report(const AllocatorBytes& allocator, int64_t saved_bytes,
                                 const std::string& why);

}  // namespace invact
