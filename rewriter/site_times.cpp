#include "rewriter/site_times.h"

#include <algorithm>

namespace invact {
namespace {

/// A site's frames end at its method; a call's go on to the model's forward.
bool is_call_of(const Site& site, const OperatorCall& call) {
  const auto& paths = site.module_paths;
  return !site.frames.empty() && site.frames.size() <= call.frames.size() && site.op == call.op &&
         site.location.method == call.method &&
         std::find(paths.begin(), paths.end(), call.module_path) != paths.end() &&
         std::equal(site.frames.begin(), site.frames.end(), call.frames.begin());
}

}  // namespace

std::vector<SiteTime> site_times(const Plan& plan, const DeviceReport& report) {
  std::vector<SiteTime> times;
  for (const Site& site : plan.sites) {
    SiteTime time{site.id, 0, 0};
    for (const OperatorTime& row : report.operators) {
      if (!is_call_of(site, row.place)) continue;
      time.forward_ns += row.forward_ns;
      time.backward_ns += row.backward_ns;
    }
    if (time.forward_ns + time.backward_ns > 0) times.push_back(time);
  }
  return times;
}

}  // namespace invact
