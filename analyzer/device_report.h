// DeviceReport: what a recorded training step means on a GPU, as plain data: driver memory at its
// peak by the library that asked, the three levels of memory reconciled, GPU time by operator. It
// is built in reporting/build_device_report.h. Knows no torch and no CUPTI.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// Memory as PyTorch's allocator counts it over the step: both are peaks.
struct AllocatorBytes {
  int64_t allocated_bytes = 0;  ///< Held by tensors, rounded up to blocks.
  int64_t reserved_bytes = 0;   ///< Taken from the driver, cached blocks included.
  bool operator==(const AllocatorBytes&) const = default;
};

/// Driver memory that one shared object asked for and held at the peak.
struct LibraryRow {
  std::string library;        ///< File name; empty where CUPTI does not know who asked.
  bool is_allocator = false;  ///< PyTorch's allocator asks from here.
  int64_t bytes = 0;
  int64_t allocation_count = 0;
  bool operator==(const LibraryRow&) const = default;
};

/// The same bytes at three heights. Rows add up: saved + other_allocated + cached + outside +
/// unexplained = driver, where the driver was recorded.
struct MemoryLevels {
  int64_t saved_bytes = 0;      ///< Saved for backward (Report).
  int64_t allocated_bytes = 0;  ///< Allocator's peak.
  int64_t reserved_bytes = 0;   ///< Allocator's peak.
  int64_t driver_bytes = 0;     ///< Peak on the device: allocations and pools.

  int64_t other_allocated_bytes = 0;  ///< allocated - saved: parameters, gradients, temporaries.
  int64_t cached_bytes = 0;           ///< reserved - allocated.
  int64_t outside_bytes = 0;  ///< At the driver's peak, of libraries that are not the allocator.
  /// What is left over: negative where the allocator took memory that the driver does not report
  /// (expandable segments), positive where no library could be named or the peaks lie apart.
  int64_t unexplained_bytes = 0;
  bool operator==(const MemoryLevels&) const = default;
};

/// GPU time of one place in the model's code, all its calls together.
struct OperatorTime {
  OperatorCall place;  ///< Its first call; storage and tensor facts mean nothing here.
  int64_t call_count = 0;
  int64_t kernel_count = 0;
  int64_t forward_ns = 0;
  int64_t backward_ns = 0;
  bool operator==(const OperatorTime&) const = default;
};

struct KernelRow {
  std::string name;  ///< Demangled.
  int64_t launch_count = 0;
  int64_t total_ns = 0;
  bool operator==(const KernelRow&) const = default;
};

struct TransferRow {
  std::string kind;  ///< "host_to_device", ..., "set".
  int64_t count = 0;
  int64_t bytes = 0;
  int64_t total_ns = 0;
  bool operator==(const TransferRow&) const = default;
};

/// Device time: kernels, copies and sets, overlapping ones counted twice. forward + backward +
/// unattributed = total, and so do the operators' rows and `unattributed_ns`.
struct DeviceTime {
  int64_t total_ns = 0;
  int64_t forward_ns = 0;
  int64_t backward_ns = 0;
  int64_t unattributed_ns =
      0;                      ///< Of no operator of the model: gradients' sums, the seed's copies.
  int64_t untimed_count = 0;  ///< Runs for which the device noted no time.
  bool operator==(const DeviceTime&) const = default;
};

struct DeviceReport {
  /// "cupti", or "allocator": only PyTorch's allocator was asked, and levels stop at `reserved`.
  std::string backend;
  std::string note;  ///< Why not CUPTI; empty with it.
  MemoryLevels levels;
  std::vector<LibraryRow> libraries;  ///< Bytes descending, then name; sum = driver_bytes.
  int64_t pinned_host_bytes = 0;      ///< At the peak of pinned host memory.
  DeviceTime time;
  std::vector<OperatorTime> operators;  ///< Time descending, then call.
  std::vector<KernelRow> kernels;       ///< Time descending, then name.
  std::vector<TransferRow> transfers;  ///< In the order of CopyKind, sets last; none that is empty.
  int64_t dropped_count = 0;           ///< As in DeviceActivity: with any, all above is too small.
  int64_t unknown_count = 0;
  int64_t incomplete_count = 0;
  bool operator==(const DeviceReport&) const = default;
};

}  // namespace invact
