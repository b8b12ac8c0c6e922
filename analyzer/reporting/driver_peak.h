// Replays the driver's allocations in the order of time, to find the peak and which library held
// how much then. Pure; build_device_report.cpp is its one user.
#pragma once

#include <cstdint>
#include <vector>

#include "analyzer/device_activity.h"
#include "analyzer/device_report.h"

namespace invact {

struct DriverPeak {
  int64_t device_bytes = 0;
  int64_t pinned_host_bytes = 0;      ///< Peak of its own.
  std::vector<LibraryRow> libraries;  ///< At the device's peak; bytes descending, then name.
};

/// A pool counts with what it reserves, not with what is taken from it: that is what other
/// processes miss. Its bytes belong to the library that took from it first.
DriverPeak find_driver_peak(const DeviceActivity& activity);

}  // namespace invact
