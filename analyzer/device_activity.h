// DeviceActivity: what a GPU did while it was recorded, as plain records. Written by cupti/, read
// by reporting/build_device_report.cpp. Holds no torch and no CUPTI type, and no judgement.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace invact {

/// Everything that an operator call asks of the device carries this number; 0 means no operator
/// call.
using ExternalId = uint64_t;

enum class MemoryPlace {
  kUnknown,
  kPageableHost,
  kPinnedHost,
  kDevice,
  kArray,          ///< On the device, for textures.
  kManaged,        ///< Migrates between host and device.
  kStaticDevice,   ///< __device__ variables of a loaded module.
  kStaticManaged,  ///< __managed__ variables of a loaded module.
};

/// One allocation or release that the driver carried out.
struct MemoryOperation {
  bool is_release = false;
  MemoryPlace place = MemoryPlace::kUnknown;
  uint64_t address = 0;
  int64_t bytes = 0;
  int64_t time_ns = 0;
  uint32_t device = 0;
  /// The shared object that asked, with its path; empty where CUPTI does not know it.
  std::string library;
  /// Taken from a memory pool (cudaMallocAsync), which holds `pool_reserved_bytes` after this.
  bool from_pool = false;
  uint64_t pool_address = 0;
  int64_t pool_reserved_bytes = 0;
  ExternalId external_id = 0;
  bool operator==(const MemoryOperation&) const = default;
};

enum class PoolChange { kCreated, kDestroyed, kTrimmed, kUnknown };

/// A memory pool came, went or gave memory back.
struct PoolOperation {
  PoolChange change = PoolChange::kUnknown;
  uint64_t address = 0;
  int64_t reserved_bytes = 0;
  int64_t time_ns = 0;
  uint32_t device = 0;
  bool operator==(const PoolOperation&) const = default;
};

/// When and for whom the device worked. Both times 0: the device had no room to note them.
struct DeviceSpan {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  uint32_t device = 0;
  uint32_t stream = 0;
  uint32_t correlation_id = 0;
  ExternalId external_id = 0;
  bool operator==(const DeviceSpan&) const = default;
};

struct KernelRun {
  std::string name;  ///< As the compiler mangled it.
  DeviceSpan span;
  bool operator==(const KernelRun&) const = default;
};

enum class CopyKind { kHostToDevice, kDeviceToHost, kDeviceToDevice, kHostToHost, kOther };

struct CopyRun {
  CopyKind kind = CopyKind::kOther;
  int64_t bytes = 0;
  DeviceSpan span;
  bool operator==(const CopyRun&) const = default;
};

struct SetRun {
  int64_t bytes = 0;
  DeviceSpan span;
  bool operator==(const SetRun&) const = default;
};

struct DeviceActivity {
  std::vector<MemoryOperation> memory;  ///< In the order of delivery, not of time.
  std::vector<PoolOperation> pools;
  std::vector<KernelRun> kernels;
  std::vector<CopyRun> copies;
  std::vector<SetRun> sets;
  int64_t dropped_count = 0;  ///< Records that found no buffer: everything above is a lower bound.
  int64_t unknown_count = 0;  ///< Records of a kind that was not asked for.
  int64_t incomplete_count = 0;  ///< Records, or ends of buffers, that could not be read.
  bool operator==(const DeviceActivity&) const = default;
};

}  // namespace invact
