#include "analyzer/cupti/activity_parser.h"

#include <utility>

namespace invact {
namespace {

// The structs are renamed by nearly every CUPTI release; a record has the layout of the library's
// own release, which LibTorch brings and this build was made with.
#if CUPTI_API_VERSION >= 130200
using KernelRecord = CUpti_ActivityKernel11;
#else
using KernelRecord = CUpti_ActivityKernel10;
#endif
using CopyRecord = CUpti_ActivityMemcpy6;
using SetRecord = CUpti_ActivityMemset4;
using MemoryRecord = CUpti_ActivityMemory4;
using PoolRecord = CUpti_ActivityMemoryPool3;
using CorrelationRecord = CUpti_ActivityExternalCorrelation;

template <typename Record>
const Record& as(const CUpti_Activity& record) {
  return reinterpret_cast<const Record&>(record);
}

int64_t signed_count(uint64_t value) {
  return static_cast<int64_t>(value);
}

MemoryPlace memory_place(CUpti_ActivityMemoryKind kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE:
      return MemoryPlace::kPageableHost;
    case CUPTI_ACTIVITY_MEMORY_KIND_PINNED:
      return MemoryPlace::kPinnedHost;
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE:
      return MemoryPlace::kDevice;
    case CUPTI_ACTIVITY_MEMORY_KIND_ARRAY:
      return MemoryPlace::kArray;
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED:
      return MemoryPlace::kManaged;
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC:
      return MemoryPlace::kStaticDevice;
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED_STATIC:
      return MemoryPlace::kStaticManaged;
    default:
      return MemoryPlace::kUnknown;
  }
}

PoolChange pool_change(CUpti_ActivityMemoryPoolOperationType type) {
  switch (type) {
    case CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_CREATED:
      return PoolChange::kCreated;
    case CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_DESTROYED:
      return PoolChange::kDestroyed;
    case CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_TRIMMED:
      return PoolChange::kTrimmed;
    default:
      return PoolChange::kUnknown;
  }
}

CopyKind copy_kind(uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
      return CopyKind::kHostToDevice;
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
      return CopyKind::kDeviceToHost;
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD:
      return CopyKind::kDeviceToDevice;
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOH:
      return CopyKind::kHostToHost;
    default:
      return CopyKind::kOther;
  }
}

/// Kernels, copies and sets name these fields alike.
template <typename Record>
DeviceSpan span_of(const Record& record) {
  return {signed_count(record.start),
          signed_count(record.end),
          record.deviceId,
          record.streamId,
          record.correlationId,
          0};
}

}  // namespace

void ActivityParser::add_buffer(uint8_t* buffer, size_t valid_bytes, NextRecord next_record) {
  CUpti_Activity* record = nullptr;
  while (true) {
    const CUptiResult result = next_record(buffer, valid_bytes, &record);
    if (result == CUPTI_ERROR_MAX_LIMIT_REACHED) return;
    if (result != CUPTI_SUCCESS) {
      // An incomplete record: what follows it in this buffer cannot be found.
      ++activity_.incomplete_count;
      return;
    }
    add_record(*record);
  }
}

void ActivityParser::add_memory(const CUpti_Activity& record) {
  const auto& memory = as<MemoryRecord>(record);
  MemoryOperation operation;
  switch (memory.memoryOperationType) {
    case CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION:
      break;
    case CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE:
      operation.is_release = true;
      break;
    default:
      ++activity_.incomplete_count;
      return;
  }
  operation.place = memory_place(memory.memoryKind);
  operation.address = memory.address;
  operation.bytes = signed_count(memory.bytes);
  operation.time_ns = signed_count(memory.timestamp);
  operation.device = memory.deviceId;
  if (memory.source != nullptr) operation.library = memory.source;
  const auto& pool = memory.memoryPoolConfig;
  if (pool.memoryPoolType != CUPTI_ACTIVITY_MEMORY_POOL_TYPE_INVALID) {
    operation.from_pool = true;
    operation.pool_address = pool.address;
    // Of an imported pool the union holds the exporting process instead.
    if (pool.memoryPoolType == CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL) {
      operation.pool_reserved_bytes = signed_count(pool.pool.size);
    }
  }
  activity_.memory.push_back(std::move(operation));
  memory_correlations_.push_back(memory.correlationId);
}

void ActivityParser::add_record(const CUpti_Activity& record) {
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = as<KernelRecord>(record);
      activity_.kernels.push_back({kernel.name != nullptr ? kernel.name : "", span_of(kernel)});
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = as<CopyRecord>(record);
      activity_.copies.push_back(
          {copy_kind(copy.copyKind), signed_count(copy.bytes), span_of(copy)});
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& set = as<SetRecord>(record);
      activity_.sets.push_back({signed_count(set.bytes), span_of(set)});
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMORY2:
      add_memory(record);
      return;
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL: {
      const auto& pool = as<PoolRecord>(record);
      activity_.pools.push_back({pool_change(pool.memoryPoolOperationType), pool.address,
                                 signed_count(pool.size), signed_count(pool.timestamp),
                                 pool.deviceId});
      return;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& correlation = as<CorrelationRecord>(record);
      if (correlation.externalKind != kOurCorrelation) return;
      external_ids_[correlation.correlationId] = correlation.externalId;
      return;
    }
    default:
      ++activity_.unknown_count;
  }
}

template <typename Run>
void ActivityParser::join(Run& run, uint32_t correlation_id) const {
  const auto found = external_ids_.find(correlation_id);
  if (found != external_ids_.end()) run.external_id = found->second;
}

DeviceActivity ActivityParser::finish() {
  for (KernelRun& kernel : activity_.kernels) join(kernel.span, kernel.span.correlation_id);
  for (CopyRun& copy : activity_.copies) join(copy.span, copy.span.correlation_id);
  for (SetRun& set : activity_.sets) join(set.span, set.span.correlation_id);
  for (size_t i = 0; i < activity_.memory.size(); ++i) {
    join(activity_.memory[i], memory_correlations_[i]);
  }
  memory_correlations_.clear();
  external_ids_.clear();
  return std::exchange(activity_, {});
}

}  // namespace invact
