// Who asks a segment's results in between for their form alone, as stochastic depth does for that
// of its noise: what feeds the segment can tell it as well. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <unordered_set>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"

namespace invact {

/// The tensor of the sizes of `value` that is nearest to it in front of `members`, which made it;
/// null where they do not hand on any tensor's sizes.
torch::jit::Value* same_sizes_before(torch::jit::Value* value,
                                     const std::unordered_set<torch::jit::Node*>& members);

/// Whether a node asks a tensor, its first argument, for its sizes, dtype or device and no more.
bool reads_only_metadata(const torch::jit::Node* node);

/// Whether the argument of `maker` that same_sizes_before() goes to would tell `consumer` the same
/// as the result, however large they are and whatever autocast makes of them.
bool metadata_is_that_of_argument(const torch::jit::Node* consumer, const torch::jit::Node* maker,
                                  const InlinedModel& inlined, const ObservedGraph& observed);

}  // namespace invact
