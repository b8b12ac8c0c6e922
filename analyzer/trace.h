// Trace: what one observed training step saved for backward, as plain records. Written by
// observation/session.cpp, read by reporting/build_report.cpp. Holds no torch type and no
// judgement: which bytes are duplicates or could be freed is decided later.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace invact {

struct StorageId {
  int64_t value = -1;
  auto operator<=>(const StorageId&) const = default;  // NOLINT(modernize-use-nullptr)
};

struct CallId {
  int64_t value = -1;
  auto operator<=>(const CallId&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// dtype ("float32") and sizes of a tensor; its own bytes, not those of its storage.
struct TensorFacts {
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t element_count = 0;
  int64_t bytes = 0;
  bool operator==(const TensorFacts&) const = default;
};

/// A place in the user's Python source; line 0: unknown.
struct SourceLocation {
  std::string file;
  int64_t line = 0;
  bool operator==(const SourceLocation&) const = default;
};

/// Bytes [begin, end) of a file of serialized TorchScript inside the archive: identifies a graph
/// node.
struct CodeRange {
  std::string file;
  int64_t begin = 0;
  int64_t end = 0;
  auto operator<=>(const CodeRange&) const = default;  // NOLINT(modernize-use-nullptr)
};

enum class StorageRole {
  kActivation,  ///< Made by the step, or one of its inputs.
  kParameter,
  kBuffer,
};

/// The memory under one or more tensors.
struct Storage {
  StorageId id;
  int64_t bytes = 0;
  StorageRole role = StorageRole::kActivation;
  bool operator==(const Storage&) const = default;
};

/// A block that an allocator handed out while a step ran.
struct Allocation {
  int64_t bytes = 0;
  int64_t op = -1;  ///< What was running, as an index into StepMemory::operators; -1: nothing.
  int64_t allocated_event = 0;  ///< Allocations and releases are numbered together.
  int64_t freed_event = -1;     ///< -1: it outlived the step.
  int64_t allocated_ns = 0;     ///< Since the step began.
  int64_t freed_ns = -1;
  bool is_gradient = false;          ///< Of a parameter.
  std::optional<StorageId> storage;  ///< What autograd held in it when forward had ended.
  bool operator==(const Allocation&) const = default;
};

/// What the allocators reported during one step, forward and backward.
struct StepMemory {
  std::string backend;      ///< Who reported: "c10 CPU allocator".
  int64_t input_bytes = 0;  ///< Of the arguments, which were there before.
  int64_t event_count = 0;
  int64_t forward_end_event = 0;  ///< The first event of backward.
  int64_t forward_end_ns = 0;
  int64_t end_ns = 0;
  std::vector<std::string> operators;
  std::vector<Allocation> allocations;  ///< In the order of allocating.
  bool operator==(const StepMemory&) const = default;
};

/// One execution of an operator that the model's code calls (the outermost one: `aten::linear`, not
/// `aten::addmm`), or of a copy or cast within one.
struct OperatorCall {
  CallId id;
  std::string op;           ///< "aten::gelu".
  std::string module_path;  ///< "features.1.0.block.3"; empty: the top module.
  std::string module_type;  ///< Qualified name of the module's class.
  std::string method;       ///< Method of that module whose code runs: "forward".
  /// Where each frame stands in the serialized code, the operator's own node first. Empty where the
  /// code is unknown.
  std::vector<CodeRange> frames;
  bool attributed = false;  ///< `module_path` was found; otherwise the bytes count as unattributed.
  SourceLocation source;
  /// Under the tensors among its arguments and results, lists flattened, in order.
  std::vector<StorageId> inputs;
  std::vector<StorageId> outputs;
  std::optional<StorageId> output;   ///< Of the first result, where that is a tensor.
  TensorFacts output_tensor;         ///< The same.
  bool input_is_view = false;        ///< The first argument is a view in autograd's sense.
  bool input_requires_grad = false;  ///< The first argument asks for a gradient.
  int64_t forward_ns = 0;            ///< How long it ran in the observed forward; one measurement.
  bool operator==(const OperatorCall&) const = default;
};

/// One tensor that an autograd node held when forward had ended.
struct SavedTensor {
  StorageId storage;
  CallId call;
  TensorFacts tensor;
  bool operator==(const SavedTensor&) const = default;
};

struct ModuleRecord {
  std::string path;
  std::string type;
  bool operator==(const ModuleRecord&) const = default;
};

struct InputRecord {
  std::string name;
  TensorFacts tensor;
  std::string fill;  ///< "randn", "0..2", "file"; see input_spec.h.
  bool operator==(const InputRecord&) const = default;
};

struct ModelRecord {
  std::string path;
  std::string sha256;
  int64_t parameter_bytes = 0;
  int64_t buffer_bytes = 0;
  int64_t trainable_parameter_bytes = 0;  ///< Of those that require gradients.
  bool requires_grad = false;             ///< Some parameter does.
  bool operator==(const ModelRecord&) const = default;
};

struct RunRecord {
  std::string device;
  std::string mode;
  std::string executor;  ///< "eager" or "default".
  std::string autocast;  ///< "bfloat16", "float16"; empty: off.
  uint64_t seed = 0;
  int64_t threads = 0;
  bool operator==(const RunRecord&) const = default;
};

struct Trace {
  ModelRecord model;
  RunRecord run;
  std::vector<InputRecord> inputs;
  std::vector<ModuleRecord> modules;      ///< Every module of the model, parents first.
  std::vector<Storage> storages;          ///< Index = id.
  std::vector<OperatorCall> calls;        ///< Index = id; in forward order.
  std::vector<SavedTensor> saved;         ///< In the order of saving.
  std::optional<StepMemory> step_memory;  ///< Where a whole step was run.
  std::vector<std::string> notes;         ///< Sentences for the user.
  bool operator==(const Trace&) const = default;
};

}  // namespace invact
