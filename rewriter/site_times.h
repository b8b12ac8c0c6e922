// How long the GPU works for each site: joins the sites of a Plan with the operators of a
// DeviceReport. Pure data; no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/device_report.h"
#include "rewriter/plan.h"

namespace invact {

struct SiteTime {
  std::string id;  ///< Site::id.
  int64_t forward_ns = 0;
  int64_t backward_ns = 0;
  bool operator==(const SiteTime&) const = default;
};

/// One per site whose operator used the GPU, in the plan's order.
std::vector<SiteTime> site_times(const Plan& plan, const DeviceReport& report);

}  // namespace invact
