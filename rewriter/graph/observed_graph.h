// The inlined graph beside the observed step: which call of the step each node is, and under which
// storage each tensor lay. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <unordered_map>

#include "analyzer/report.h"
#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_savers.h"

namespace invact {

class ObservedGraph {
 public:
  /// All must outlive the result.
  ObservedGraph(const InlinedModel& inlined, const Report& report, const ObservedSavers& savers);

  /// The one call that this node was; null where it did not run, ran several times (a loop) or
  /// cannot be distinguished from another.
  const OperatorCall* call(const torch::jit::Node* node) const;

  /// The storage of a tensor, as the operator that makes it or one that reads it saw it; none where
  /// neither shows it.
  std::optional<StorageId> storage(const torch::jit::Value* value) const;

  /// Whether the operator saves `storage` for backward.
  bool saves(const OperatorCall& call, StorageId storage) const;

  /// Whether `storage` is in memory until backward: an operator saves it, or it is no activation.
  bool is_saved(StorageId storage) const;

  /// The storage of this size that the operator made for itself and saves, as a linear does of an
  /// input that is not contiguous; none under autocast, whose casts make others.
  std::optional<StorageId> own_copy(const OperatorCall& call, int64_t bytes) const;

 private:
  std::optional<StorageId> made_by(const torch::jit::Value* value) const;
  std::optional<StorageId> read_by(const torch::jit::Use& use) const;

  const Report& report_;
  const ObservedSavers& savers_;
  std::unordered_map<const torch::jit::Node*, CallId> calls_;
};

}  // namespace invact
