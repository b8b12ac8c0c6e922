// What a GPU did in the step: memory as autograd, the allocator and the driver count it, and GPU
// time.
#include <fmt/format.h>

#include <algorithm>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

std::string format_time(int64_t time_ns) {
  const auto ns = static_cast<double>(time_ns);
  if (time_ns < 1'000) return fmt::format("{} ns", time_ns);
  if (time_ns < 1'000'000) return fmt::format("{:.1f} us", ns / 1e3);
  return fmt::format("{:.1f} ms", ns / 1e6);
}

std::string level(const char* name, int64_t bytes, const std::string& comment) {
  return fmt::format("  {:<22}{:>11}  {}\n", name, format_bytes(bytes), comment);
}

std::string outside_comment(const DeviceReport& report) {
  std::string text;
  for (const LibraryRow& row : report.libraries) {
    if (row.is_allocator || row.library.empty()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", row.library, format_bytes(row.bytes));
  }
  return text.empty() ? "nothing but PyTorch's allocator asked for memory" : text;
}

std::string render_memory(const DeviceReport& report, const RenderOptions& options) {
  const MemoryLevels& levels = report.levels;
  const bool recorded = report.backend == "cupti";
  std::string text = heading(
      recorded ? "GPU MEMORY AT THE PEAK (CUPTI)" : "GPU MEMORY AT THE PEAK (PyTorch's allocator)",
      options.style);
  text += level("saved", levels.saved_bytes, "kept for backward");
  text += level("other tensors", levels.other_allocated_bytes,
                "parameters, gradients, temporaries, rounding to blocks");
  text += level("cached", levels.cached_bytes, "taken by PyTorch's allocator and not in use");
  if (!recorded) {
    text += level("PyTorch's allocator", levels.reserved_bytes, "the sum");
    return text + fmt::format("  What lies outside was not recorded: {}.\n", report.note);
  }
  text += level("outside PyTorch", levels.outside_bytes, outside_comment(report));
  if (levels.unexplained_bytes != 0) {
    text +=
        level("unexplained", levels.unexplained_bytes,
              levels.unexplained_bytes < 0 ? "the driver does not report it (expandable segments)"
                                           : "nobody could be named, or the peaks lie apart");
  }
  return text + level("driver", levels.driver_bytes, "the sum; the CUDA context itself left out");
}

std::string operator_name(const OperatorCall& place) {
  if (!place.attributed) return place.op + " (unattributed)";
  return fmt::format("{} in {}", place.op, module_name(place));
}

std::string render_time(const DeviceReport& report, const RenderOptions& options) {
  const DeviceTime& time = report.time;
  std::string text = heading("GPU TIME BY OPERATOR", options.style);
  text += fmt::format("  {} in all: forward {}, backward {}, of no operator {}\n",
                      format_time(time.total_ns), format_time(time.forward_ns),
                      format_time(time.backward_ns), format_time(time.unattributed_ns));
  const size_t shown = std::min(report.operators.size(), static_cast<size_t>(options.top));
  for (size_t i = 0; i < shown; ++i) {
    const OperatorTime& row = report.operators[i];
    text += fmt::format("  {:>10}  forward {:>10}  backward {:>10}  {}\n",
                        format_time(row.forward_ns + row.backward_ns), format_time(row.forward_ns),
                        format_time(row.backward_ns), operator_name(row.place));
  }
  int64_t rest_ns = 0;
  for (size_t i = shown; i < report.operators.size(); ++i) {
    rest_ns += report.operators[i].forward_ns + report.operators[i].backward_ns;
  }
  if (shown < report.operators.size()) {
    text += fmt::format("  {:>10}  {}({} more rows){}\n", format_time(rest_ns), options.style.dim,
                        report.operators.size() - shown, options.style.reset);
  }
  for (const TransferRow& row : report.transfers) {
    text += fmt::format("  {:>10}  {} {}, {}\n", format_time(row.total_ns), row.count, row.kind,
                        format_bytes(row.bytes));
  }
  return text;
}

/// Numbers that are too small must not be taken for whole ones.
std::string render_losses(const DeviceReport& report) {
  std::string text;
  if (report.dropped_count > 0) {
    text += fmt::format("  CUPTI dropped {} records: memory and times above are too small.\n",
                        report.dropped_count);
  }
  if (report.incomplete_count > 0) {
    text += fmt::format("  {} records of CUPTI could not be read and are missing above.\n",
                        report.incomplete_count);
  }
  if (report.time.untimed_count > 0) {
    text += fmt::format("  Kernels and copies without a time: {}.\n", report.time.untimed_count);
  }
  return text;
}

}  // namespace

std::string render_device(const DeviceReport& report, const RenderOptions& options) {
  std::string text = render_memory(report, options);
  if (report.backend == "cupti") text += render_time(report, options);
  return text + render_losses(report);
}

}  // namespace invact
