#include "analyzer/reporting/build_device_report.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "analyzer/reporting/driver_peak.h"

namespace invact {
namespace {

constexpr std::array kCopyNames = {"host_to_device", "device_to_host", "device_to_device",
                                   "host_to_host", "other_copy"};

struct Owner {
  CallId call;
  Pass pass = Pass::kForward;
};

std::optional<Owner> owner_of(ExternalId id, size_t call_count) {
  if (id == 0 || (id - 1) / 2 >= call_count) return std::nullopt;
  return Owner{{static_cast<int64_t>((id - 1) / 2)},
               (id - 1) % 2 == 0 ? Pass::kForward : Pass::kBackward};
}

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

using Place = std::tuple<std::string, std::string, std::vector<CodeRange>>;

Place place_of(const OperatorCall& call) {
  return {call.module_path, call.op, call.frames};
}

/// Sums device time by the place in the model's code that asked for it.
class TimeSums {
 public:
  explicit TimeSums(const std::vector<OperatorCall>& calls) {
    std::map<Place, size_t> places;
    for (const OperatorCall& call : calls) {
      const auto [entry, is_new] = places.try_emplace(place_of(call), rows_.size());
      if (is_new) rows_.push_back({call});
      row_of_call_.push_back(entry->second);
      ++rows_[entry->second].call_count;
    }
  }

  /// @returns the duration that was counted.
  int64_t add(const DeviceSpan& span, bool is_kernel) {
    // CUPTI notes zeros where its memory ran out.
    if (span.start_ns == 0 || span.end_ns < span.start_ns) {
      ++time.untimed_count;
      return 0;
    }
    const int64_t duration_ns = span.end_ns - span.start_ns;
    time.total_ns += duration_ns;
    const auto owner = owner_of(span.external_id, row_of_call_.size());
    if (!owner) {
      time.unattributed_ns += duration_ns;
      return duration_ns;
    }
    OperatorTime& row = rows_[row_of_call_[owner->call.value]];
    if (is_kernel) ++row.kernel_count;
    const bool is_forward = owner->pass == Pass::kForward;
    (is_forward ? row.forward_ns : row.backward_ns) += duration_ns;
    (is_forward ? time.forward_ns : time.backward_ns) += duration_ns;
    return duration_ns;
  }

  /// Those that used the device.
  std::vector<OperatorTime> rows() && {
    std::erase_if(rows_, [](const OperatorTime& row) {
      return row.kernel_count == 0 && row.forward_ns + row.backward_ns == 0;
    });
    std::stable_sort(rows_.begin(), rows_.end(), [](const OperatorTime& a, const OperatorTime& b) {
      return a.forward_ns + a.backward_ns > b.forward_ns + b.backward_ns;
    });
    return std::move(rows_);
  }

  DeviceTime time;

 private:
  std::vector<OperatorTime> rows_;
  std::vector<size_t> row_of_call_;
};

std::vector<KernelRow> kernel_rows(std::map<std::string, KernelRow> by_name) {
  std::vector<KernelRow> rows;
  for (auto& [name, row] : by_name) {
    row.name = demangled(name);
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const KernelRow& a, const KernelRow& b) {
    return std::tuple(-a.total_ns, a.name) < std::tuple(-b.total_ns, b.name);
  });
  return rows;
}

void add_work(const DeviceActivity& activity, const std::vector<OperatorCall>& calls,
              DeviceReport& report) {
  TimeSums sums(calls);
  std::map<std::string, KernelRow> kernels;
  for (const KernelRun& kernel : activity.kernels) {
    KernelRow& row = kernels[kernel.name];
    ++row.launch_count;
    row.total_ns += sums.add(kernel.span, /*is_kernel=*/true);
  }
  std::array<TransferRow, kCopyNames.size() + 1> transfers;
  const auto add_transfer = [&](TransferRow& row, int64_t bytes, const DeviceSpan& span) {
    ++row.count;
    row.bytes += bytes;
    row.total_ns += sums.add(span, /*is_kernel=*/false);
  };
  for (const CopyRun& copy : activity.copies) {
    add_transfer(transfers[static_cast<size_t>(copy.kind)], copy.bytes, copy.span);
  }
  for (const SetRun& set : activity.sets) add_transfer(transfers.back(), set.bytes, set.span);
  for (size_t i = 0; i < transfers.size(); ++i) {
    if (transfers[i].count == 0) continue;
    transfers[i].kind = i < kCopyNames.size() ? kCopyNames[i] : "set";
    report.transfers.push_back(std::move(transfers[i]));
  }
  report.kernels = kernel_rows(std::move(kernels));
  report.time = sums.time;
  report.operators = std::move(sums).rows();
}

MemoryLevels allocator_levels(const AllocatorBytes& allocator, int64_t saved_bytes) {
  MemoryLevels levels;
  levels.saved_bytes = saved_bytes;
  levels.allocated_bytes = allocator.allocated_bytes;
  levels.reserved_bytes = allocator.reserved_bytes;
  levels.other_allocated_bytes = allocator.allocated_bytes - saved_bytes;
  levels.cached_bytes = allocator.reserved_bytes - allocator.allocated_bytes;
  return levels;
}

}  // namespace

ExternalId external_id(CallId call, Pass pass) {
  return static_cast<ExternalId>(call.value) * 2 + (pass == Pass::kForward ? 1 : 2);
}

DeviceReport build_device_report(const DeviceActivity& activity,
                                 const std::vector<OperatorCall>& calls,
                                 const AllocatorBytes& allocator, int64_t saved_bytes) {
  DeviceReport report;
  report.backend = "cupti";
  report.levels = allocator_levels(allocator, saved_bytes);
  DriverPeak peak = find_driver_peak(activity);
  report.levels.driver_bytes = peak.device_bytes;
  for (const LibraryRow& row : peak.libraries) {
    if (!row.is_allocator && !row.library.empty()) report.levels.outside_bytes += row.bytes;
  }
  report.levels.unexplained_bytes =
      peak.device_bytes - allocator.reserved_bytes - report.levels.outside_bytes;
  report.libraries = std::move(peak.libraries);
  report.pinned_host_bytes = peak.pinned_host_bytes;
  add_work(activity, calls, report);
  report.dropped_count = activity.dropped_count;
  report.unknown_count = activity.unknown_count;
  report.incomplete_count = activity.incomplete_count;
  return report;
}

void use_device_times(const DeviceReport& report, std::vector<OperatorCall>& calls) {
  if (report.operators.empty()) return;
  std::map<Place, int64_t> share;
  for (const OperatorTime& row : report.operators) {
    share[place_of(row.place)] = row.forward_ns / row.call_count;
  }
  for (OperatorCall& call : calls) {
    const auto found = share.find(place_of(call));
    call.forward_ns = found == share.end() ? 0 : found->second;
  }
}

DeviceReport build_device_report(const AllocatorBytes& allocator, int64_t saved_bytes,
                                 const std::string& why) {
  DeviceReport report;
  report.backend = "allocator";
  report.note = why;
  report.levels = allocator_levels(allocator, saved_bytes);
  return report;
}

}  // namespace invact
