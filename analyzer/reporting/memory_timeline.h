// Live bytes of one training step over time, by what they are for, and what was live at the peak.
// Pure: from the allocator events of a Trace to what the Report shows. Knows no torch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

enum class MemoryKind {
  kParameters,   ///< Parameters and buffers; they live before the step begins.
  kGradients,    ///< Of parameters.
  kSaved,        ///< Kept by autograd when forward had ended, until backward releases it.
  kTemporaries,  ///< Made and freed within the step.
  kOther,        ///< Inputs, and what outlives the step without being a gradient: outputs.
};
inline constexpr size_t kMemoryKindCount = 5;
using BytesByKind = std::array<int64_t, kMemoryKindCount>;

enum class StepPhase { kForward, kBackward };

struct TimelinePoint {
  int64_t time_ns = 0;  ///< Since the step began.
  BytesByKind live_bytes{};
  bool operator==(const TimelinePoint&) const = default;
};

/// A block of memory that was live at the peak.
struct LiveBlock {
  int64_t bytes = 0;
  MemoryKind kind = MemoryKind::kOther;
  std::optional<StorageId> storage;  ///< Where autograd kept it: the report's row.
  std::string op;                    ///< The operator that was running when it was allocated.
  bool operator==(const LiveBlock&) const = default;
};

struct MemoryPeak {
  int64_t bytes = 0;  ///< Of the whole step, parameters and inputs among them.
  int64_t time_ns = 0;
  StepPhase phase = StepPhase::kForward;
  std::string op;  ///< The operator that was running; empty: between operators.
  BytesByKind live_bytes{};
  std::vector<LiveBlock> live;  ///< Allocated by the step; bytes descending, then age.
  bool operator==(const MemoryPeak&) const = default;
};

/// When a kept storage was freed.
struct StorageRelease {
  StorageId storage;
  int64_t time_ns = 0;
  bool operator==(const StorageRelease&) const = default;
};

struct MemoryTimeline {
  std::string backend;  ///< Who reported: "c10 CPU allocator".
  int64_t forward_end_ns = 0;
  int64_t end_ns = 0;
  std::vector<TimelinePoint> points;  ///< At most kMaxTimelinePoints; the peak is among them.
  MemoryPeak peak;
  std::vector<StorageRelease> releases;  ///< In order of time.
  bool operator==(const MemoryTimeline&) const = default;
};
inline constexpr size_t kMaxTimelinePoints = 512;

/// The timeline of `trace`'s step; none where it has none.
std::optional<MemoryTimeline> build_timeline(const Trace& trace);

/// "parameters", "gradients", "saved", "temporaries", "other".
std::string memory_kind_name(MemoryKind kind);

/// "forward" or "backward".
std::string step_phase_name(StepPhase phase);

}  // namespace invact
