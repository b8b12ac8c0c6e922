// One chain of cheap operators, from its result towards what feeds it. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>

#include "rewriter/inlined_model.h"
#include "rewriter/regions/chain_nodes.h"
#include "rewriter/regions/observed_graph.h"
#include "rewriter/regions/region.h"

namespace invact {

/// Whether a chain stops at residual sums or runs them again.
enum class ResidualSums { kStop, kPass };

/// The largest chain that makes the result of `output`, without nodes of other chains, `taken`: its
/// nodes and inputs, no more. None where it is no chain that can be run again by itself.
std::optional<Region> grow_chain(torch::jit::Node* output, const InlinedModel& inlined,
                                 const ObservedGraph& observed, const ChainSources& sources,
                                 const ChainEnds& taken, ResidualSums sums);

}  // namespace invact
