// Report: what a Trace means, as plain data: saved bytes by storage and by module, the floor, what
// is saved twice, and the live bytes of the step over time. It is built in
// reporting/build_report.h. Knows no torch, and no sites, which are the rewriter's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// One distinct storage that autograd saves, parameters and buffers left out.
struct StorageRow {
  StorageId id;
  int64_t bytes = 0;
  TensorFacts tensor;  ///< As its first saver saw it.
  CallId first_call;  ///< Its first saver in forward order: module, operator and source of the row.
  std::vector<CallId> savers;  ///< One per saved tensor, in forward order.
  bool in_floor = false;       ///< A heavy operator is among the savers.
  bool operator==(const StorageRow&) const = default;
};

struct ModuleRow {
  std::string path;
  std::string type;
  int64_t saved_bytes = 0;  ///< Its own, without its children's.
  bool operator==(const ModuleRow&) const = default;
};

enum class DuplicateKind {
  kActivation,  ///< The input of an invertible function, while its output is saved too.
  kComposite,   ///< Between the operators of a function that is written out.
  kNorm,        ///< The input of a norm, while its output is saved too.
  kGate,        ///< A product, or its activated factor, while what it is made of is saved too.
  kDropout,     ///< A mask saved as a tensor where a bit per element says the same.
  kCast,        ///< A copy in another dtype.
  kCopy,        ///< The same values, in another layout or a second time.
};

/// A saved storage whose content can be computed from other saved storages.
struct Duplicate {
  DuplicateKind kind = DuplicateKind::kActivation;
  StorageId storage;                ///< Its content is saved twice.
  std::vector<StorageId> carriers;  ///< The storages that carry the same information together.
  CallId call;                      ///< The operator between them.
  int64_t bytes = 0;
  bool operator==(const Duplicate&) const = default;
};

struct Totals {
  int64_t saved_tensors = 0;
  int64_t saved_storages = 0;
  int64_t saved_bytes = 0;
  int64_t duplicate_bytes = 0;
  int64_t floor_bytes = 0;
  int64_t unattributed_bytes = 0;
  bool operator==(const Totals&) const = default;
};

/// Saved storages alike in dtype, shape and first saver.
struct StorageGroup {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string op;
  int64_t count = 0;
  int64_t bytes = 0;  ///< Of all of them.
  bool operator==(const StorageGroup&) const = default;
};

/// What TorchScript's profiling executor saves, beside what is saved operator by operator.
struct ExecutorComparison {
  Totals eager;
  Totals profiling;
  std::vector<StorageGroup> only_eager;      ///< Bytes descending.
  std::vector<StorageGroup> only_profiling;  ///< Bytes descending.
  bool operator==(const ExecutorComparison&) const = default;
};

enum class MemoryKind {
  kParameters,   ///< Parameters and buffers; they live before the step begins.
  kGradients,    ///< Of parameters.
  kSaved,        ///< Held by autograd from the end of forward until backward releases it.
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
  std::optional<StorageId> storage;  ///< Where autograd saved it: the report's row.
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

/// When a saved storage was freed.
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

/// What a report was made with. Every document begins with it, so that two can be compared.
struct Environment {
  std::string invact_version;
  std::string libtorch_version;  ///< Of the library that is loaded.
  std::string cpu_capability;    ///< "AVX2": which of ATen's CPU kernels run.
  bool cuda_build = false;       ///< The operator library has CUDA kernels.
  std::optional<uint32_t> cupti_api_version;
};

struct Report {
  ModelRecord model;
  RunRecord run;
  std::vector<InputRecord> inputs;
  std::vector<std::string> notes;
  Totals totals;
  std::vector<ModuleRow> modules;     ///< Those that save something, bytes descending, then path.
  std::vector<StorageRow> storages;   ///< Bytes descending, then id.
  std::vector<Duplicate> duplicates;  ///< Bytes descending, then storage id.
  std::optional<MemoryTimeline> timeline;       ///< Where a whole step was run and recorded.
  std::optional<ExecutorComparison> executors;  ///< Where both were measured.
  std::vector<OperatorCall> calls;              ///< As in the Trace; index = id.
  std::vector<SavedTensor> saved;      ///< As in the Trace, parameters and buffers left out.
  std::vector<Storage> seen_storages;  ///< As in the Trace, saved or not; index = id.
  bool operator==(const Report&) const = default;

  const OperatorCall& call(CallId id) const { return calls.at(id.value); }
  const Storage& storage(StorageId id) const { return seen_storages.at(id.value); }
};

/// "parameters", "gradients", "saved", "temporaries", "other".
std::string memory_kind_name(MemoryKind kind);

/// "forward" or "backward".
std::string step_phase_name(StepPhase phase);

/// "activation".
std::string duplicate_kind_name(DuplicateKind kind);

/// What a user can do about a duplicate of this kind, as one sentence.
std::string duplicate_advice(DuplicateKind kind);

}  // namespace invact
