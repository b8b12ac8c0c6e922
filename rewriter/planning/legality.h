// What forbids a rewrite whatever the bytes: read-only predicates over graphs, each giving a
// Rejection or none.
#pragma once

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/planning/candidates.h"

namespace invact {

/// Alias analysis over the whole model. Made only where some node writes to a tensor: of a model of
/// 10,000 nodes it costs as much as finding its sites.
class WholeModelAliases {
 public:
  /// `inlined` must outlive the result.
  explicit WholeModelAliases(const InlinedModel& inlined);

  /// Refuses where an operator writes to the output after it was made: saving it for backward
  /// would save the wrong values.
  std::optional<Rejection> check_output_written(const Candidate& candidate) const;

  /// Refuses where an operator writes to what the pattern reads or makes while it runs: one
  /// operator in its place would read everything at once.
  std::optional<Rejection> check_written_between(const Candidate& candidate) const;

  /// Refuses where an operator writes, after the segment has run, to what it saves to run again.
  std::optional<Rejection> check_inputs_written(const Candidate& candidate) const;

 private:
  struct Read;

  bool writes_to(torch::jit::Node* node, const Read& read) const;
  bool may_be_written(const torch::jit::Node* node) const;

  const InlinedModel& inlined_;
  std::unique_ptr<torch::jit::AliasDb> aliases_;  ///< Null: nothing is written.
};

/// Operators that read the site's output, anywhere in the model: "aten::dropout, aten::linear".
std::vector<std::string> consumers(const Candidate& candidate);

/// Whether a dropout that drops nothing reads the site's output.
bool is_read_by_idle_dropout(const Candidate& candidate);

}  // namespace invact
