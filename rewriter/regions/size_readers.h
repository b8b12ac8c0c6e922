// Who asks a chain's results in between for their sizes alone, as stochastic depth does to shape
// its noise: what feeds the chain can tell them as well. Reads only.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <unordered_set>

#include "rewriter/regions/observed_graph.h"

namespace invact {

/// The tensor of the sizes of `value` that is nearest to it in front of `members`, which made it;
/// null where they do not hand on any tensor's sizes.
torch::jit::Value* same_sizes_before(torch::jit::Value* value,
                                     const std::unordered_set<torch::jit::Node*>& members);

bool asks_for_sizes(const torch::jit::Node* node);

/// Whether `reader` asks `maker`'s result for sizes that one of its arguments would tell, too,
/// however large they are.
bool argument_tells(const torch::jit::Node* reader, const torch::jit::Node* maker,
                    const ObservedGraph& observed, const torch::jit::Module& top);

}  // namespace invact
