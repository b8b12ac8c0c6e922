// Which operators may run again in backward, and which sums are residual sums. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace invact {

/// What a node can be within a segment of cheap operators.
enum class OperatorRole {
  kNone,     ///< Heavy, random, with effects, or with other results than one tensor.
  kCompute,  ///< Makes a new tensor.
  kWrite,    ///< Writes its first argument, which the same segment must have made.
  kView,     ///< May hand on its first argument's storage.
  kList,     ///< Gathers tensors for one of the others.
};

OperatorRole operator_role(const torch::jit::Node* node);

/// Whether a dropout draws random numbers. Its bits are saved, so that backward draws none.
bool draws_dropout(const torch::jit::Node* node);

/// An attribute of a module, or a constant.
bool is_parameter_or_constant(const torch::jit::Value* value);

/// Whether the node reads this argument only to change it, as batch norm does its running
/// statistics.
bool is_statistic(const torch::jit::Node* node, size_t position);

/// Distinguishes residual sums from the sums within a function. A residual sum adds what comes from
/// different sources: to run it again takes all of them.
class SumSources {
 public:
  /// `nodes`: in the order of running.
  explicit SumSources(const std::vector<torch::jit::Node*>& nodes);

  bool is_residual_sum(const torch::jit::Node* node) const { return sums_.contains(node); }

 private:
  using Sources = std::vector<const torch::jit::Value*>;  ///< Sorted, few.
  const Sources& of(const torch::jit::Value* value);
  bool joins_sources(const torch::jit::Node* node);

  std::unordered_map<const torch::jit::Value*, Sources> sources_;
  std::unordered_set<const torch::jit::Node*> sums_;
};

}  // namespace invact
