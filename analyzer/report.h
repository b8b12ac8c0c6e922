// Report: what a Trace means. Bytes by storage, by module and by operator, the floor, and what is
// kept twice. Pure data and one pure function; knows no torch and no sites (those are the
// rewriter's).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyzer/reporting/memory_timeline.h"
#include "analyzer/trace.h"

namespace invact {

/// One distinct storage that autograd keeps, parameters and buffers left out.
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
  kDropout,     ///< A mask kept as a tensor where a bit per element says the same.
  kCast,        ///< A copy in another dtype.
  kCopy,        ///< The same values, in another layout or a second time.
};

/// A saved storage whose content can be had from other saved storages.
struct Duplicate {
  DuplicateKind kind = DuplicateKind::kActivation;
  StorageId storage;            ///< Kept twice.
  std::vector<StorageId> kept;  ///< The storages that carry the same information together.
  CallId call;                  ///< The operator between them.
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

/// What TorchScript's profiling executor keeps beside what running operator by operator keeps.
struct ExecutorComparison {
  Totals eager;
  Totals profiling;
  std::vector<StorageGroup> only_eager;      ///< Bytes descending.
  std::vector<StorageGroup> only_profiling;  ///< Bytes descending.
  bool operator==(const ExecutorComparison&) const = default;
};

struct Report {
  ModelRecord model;
  RunRecord run;
  std::vector<InputRecord> inputs;
  std::vector<std::string> notes;
  Totals totals;
  std::vector<ModuleRow> modules;     ///< Those that keep something, bytes descending, then path.
  std::vector<StorageRow> storages;   ///< Bytes descending, then id.
  std::vector<Duplicate> duplicates;  ///< Bytes descending, then storage id.
  std::optional<MemoryTimeline> timeline;       ///< Where a whole step was run and recorded.
  std::optional<ExecutorComparison> executors;  ///< Where both were measured.
  std::vector<OperatorCall> calls;              ///< As in the Trace; index = id.
  std::vector<SavedTensor> saved;      ///< As in the Trace, parameters and buffers left out.
  std::vector<Storage> seen_storages;  ///< As in the Trace, kept or not; index = id.
  bool operator==(const Report&) const = default;

  const OperatorCall& call(CallId id) const { return calls.at(id.value); }
  const Storage& storage(StorageId id) const { return seen_storages.at(id.value); }
};

/// The sum of modules' bytes and `unattributed_bytes` is `saved_bytes`, and so is the sum of
/// storages' bytes.
Report build_report(const Trace& trace);

/// Storages that one report has and the other has not, set off by dtype and bytes, whatever saved
/// them.
ExecutorComparison compare_executors(const Report& eager, const Report& profiling);

/// "activation".
std::string duplicate_kind_name(DuplicateKind kind);

/// What a user can do about a duplicate of this kind, as one sentence.
std::string duplicate_advice(DuplicateKind kind);

}  // namespace invact
