#include "bench/console.h"

#include <fmt/format.h>

#include <ostream>
#include <string>

namespace invact::bench {
namespace {

constexpr int kNameWidth = 54;

using Run = benchmark::BenchmarkReporter::Run;

double counter(const Run& run, const char* name) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? 0 : found->second.value;
}

std::string comparison_line(const Run& run) {
  return fmt::format("{:7.3f} {:7.3f} {:7.3f}  {:5.2f} [{:.2f} {:.2f}]  {:6.2f}  {}",
                     counter(run, "ns_per_element"), counter(run, "aten_ns_per_element"),
                     counter(run, "copy_ns_per_element"), counter(run, "ratio"),
                     counter(run, "ratio_lower"), counter(run, "ratio_upper"),
                     counter(run, "copy_units"), run.report_label);
}

std::string memory_line(const Run& run) {
  const auto side = [&](const std::string& prefix) {
    const auto mib = [&](const char* name) {
      constexpr double kMib = 1 << 20;
      return counter(run, (prefix + name).c_str()) / kMib;
    };
    return fmt::format("kept {:.2f} (predicted {:.2f}), peak {:.2f} (predicted {:.2f})",
                       mib("kept_bytes"), mib("predicted_kept_bytes"), mib("peak_bytes"),
                       mib("predicted_peak_bytes"));
  };
  return fmt::format("MiB: {}; ATen's: {}", side(""), side("aten_"));
}

}  // namespace

bool Console::ReportContext(const Context& context) {
  PrintBasicContext(&GetErrorStream(), context);
  GetOutputStream() << fmt::format("{:{}} {:>7} {:>7} {:>7}  {:>5} {:13}  {:>6}\n",
                                   "ns per element, medians", kNameWidth, "ours", "ATen", "copy",
                                   "ratio", "[quartiles]", "copies");
  return true;
}

void Console::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    const bool is_comparison = run.counters.contains("ratio");
    GetOutputStream() << fmt::format("{:{}} {}\n", run.run_name.function_name, kNameWidth,
                                     is_comparison ? comparison_line(run) : memory_line(run));
  }
  GetOutputStream() << std::flush;
}

}  // namespace invact::bench
