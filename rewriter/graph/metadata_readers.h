// Nodes that read only the metadata of what a segment makes in between, as stochastic depth does for
// the sizes of its noise. The tensors that feed the segment can have the same metadata, and are then
// read in its place. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <unordered_set>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"

namespace invact {

/// The tensor nearest to `value` in front of `members`, which made it, that has its sizes; null
/// where they do not pass on any tensor's sizes.
torch::jit::Value* same_sizes_before(torch::jit::Value* value,
                                     const std::unordered_set<torch::jit::Node*>& members);

/// Whether a node reads a tensor's sizes, dtype or device, its first argument's, and no memory.
bool reads_only_metadata(const torch::jit::Node* node);

/// Whether the argument of `maker` that same_sizes_before() goes to has the metadata that `consumer`
/// reads of the result, however large both are and whatever autocast makes of them.
bool metadata_is_that_of_argument(const torch::jit::Node* consumer, const torch::jit::Node* maker,
                                  const InlinedModel& inlined, const ObservedGraph& observed);

}  // namespace invact
