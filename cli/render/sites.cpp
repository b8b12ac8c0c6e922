// The sites of a plan.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

std::string render_rejected(const Plan& plan, const RenderOptions& options) {
  std::map<std::string, std::vector<const Site*>> by_reason;
  for (const Site& site : plan.sites) {
    if (!site.decision.accepted) by_reason[site.op + ": " + site.decision.reason].push_back(&site);
  }
  std::string text;
  for (const auto& [reason, sites] : by_reason) {
    text += fmt::format("  {}rejected{}  {:>3} {} [{}]\n", options.style.bad, options.style.reset,
                        sites.size(), reason, sites.front()->decision.reason_code);
    const size_t shown = options.details ? sites.size() : std::min<size_t>(sites.size(), 3);
    for (size_t i = 0; i < shown; ++i) {
      text += fmt::format("                {}  {}{}{}\n", sites[i]->id, options.style.dim,
                          short_source(sites[i]->source), options.style.reset);
    }
    if (shown < sites.size()) {
      text += fmt::format("                {}({} more; --verbose lists all){}\n", options.style.dim,
                          sites.size() - shown, options.style.reset);
    }
  }
  return text;
}

/// The time that it takes to run the segments again in backward.
std::string extra_time(int64_t ns) {
  return ns > 0 ? fmt::format(" for {:.1f} ms", static_cast<double>(ns) / 1e6) : "";
}

}  // namespace

std::string render_sites(const Plan& plan, const RenderOptions& options) {
  std::string text = heading("SITES", options.style);
  if (plan.sites.empty()) return text + "  none: no operator that invact replaces\n";
  struct Sums {
    int64_t count = 0;
    int64_t bytes = 0;
    int64_t extra_ns = 0;
  };
  std::map<std::string, Sums> accepted;
  for (const Site& site : plan.sites) {
    if (!site.decision.accepted) continue;
    Sums& sums = accepted[fmt::format("{} -> {}", site.op, replacement_of(site.edit))];
    ++sums.count;
    sums.bytes += site.saved_bytes_delta;
    sums.extra_ns += site.extra_ns;
  }
  for (const auto& [what, sums] : accepted) {
    text += fmt::format("  {}accepted{}  {:>3} {}: {}{}\n", options.style.good, options.style.reset,
                        sums.count, what, format_bytes(sums.bytes), extra_time(sums.extra_ns));
  }
  if (options.details) {
    for (const Site& site : plan.sites) {
      if (!site.decision.accepted) continue;
      text += fmt::format("            {:>10}{}  {}  {}{}{}\n",
                          format_bytes(site.saved_bytes_delta), extra_time(site.extra_ns), site.id,
                          options.style.dim, short_source(site.source), options.style.reset);
    }
  }
  text += render_rejected(plan, options);
  for (const std::string& note : plan.notes) text += fmt::format("\nNote: {}\n", note);
  return text;
}

}  // namespace invact
