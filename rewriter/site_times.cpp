#include "rewriter/site_times.h"

namespace invact {
std::vector<SiteTime> site_times(const Plan& plan, const DeviceReport& report) {
  std::vector<SiteTime> times;
  for (const Site& site : plan.sites) {
    SiteTime time{site.id, 0, 0};
    for (const OperatorTime& row : report.operators) {
      if (!site.is_called_by(row.place)) continue;
      time.forward_ns += row.forward_ns;
      time.backward_ns += row.backward_ns;
    }
    if (time.forward_ns + time.backward_ns > 0) times.push_back(time);
  }
  return times;
}

}  // namespace invact
