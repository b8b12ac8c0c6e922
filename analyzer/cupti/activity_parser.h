// Turns CUPTI's activity records into DeviceActivity. Knows the layout of records and nothing of
// recording, so that it is tested without a GPU; only this folder and its test include this header.
#pragma once

#include <cupti.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "analyzer/device_activity.h"

namespace invact {

/// Under this kind the recorder pushes the ids of operator calls. LibTorch's own profiler uses the
/// first two.
inline constexpr CUpti_ExternalCorrelationKind kOurCorrelation =
    CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2;

class ActivityParser {
 public:
  /// As cuptiActivityGetNextRecord.
  using NextRecord = CUptiResult (*)(uint8_t* buffer, size_t valid_bytes, CUpti_Activity** record);

  /// Reads every record of a completed buffer.
  void add_buffer(uint8_t* buffer, size_t valid_bytes,
                  NextRecord next_record = &cuptiActivityGetNextRecord);

  void add_record(const CUpti_Activity& record);

  /// Records that CUPTI dropped before this buffer.
  void add_dropped(size_t count) { activity_.dropped_count += static_cast<int64_t>(count); }

  /// Joins work with the ids pushed around it. A correlation record may lie before or after the
  /// record that it speaks of, in another buffer as well, so this comes last.
  DeviceActivity finish();

 private:
  template <typename Run>
  void join(Run& run, uint32_t correlation_id) const;
  void add_memory(const CUpti_Activity& record);

  DeviceActivity activity_;
  std::vector<uint32_t> memory_correlations_;  ///< Of activity_.memory, index by index.
  std::unordered_map<uint32_t, ExternalId> external_ids_;
};

}  // namespace invact
