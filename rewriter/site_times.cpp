#include "rewriter/site_times.h"

#include <algorithm>

namespace invact {
namespace {

bool is_call_of(const Site& site, const OperatorCall& call) {
  const auto& paths = site.module_paths;
  return site.location.method == call.method &&
         std::find(paths.begin(), paths.end(), call.module_path) != paths.end() &&
         std::any_of(site.nodes.begin(), site.nodes.end(),
                     [&call](const SiteNode& node) { return node.is_called_by(call); });
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
