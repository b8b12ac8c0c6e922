// One chain of cheap operators, from its result towards what feeds it. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"
#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/segments.h"

namespace invact {

/// Whether a chain stops at residual sums or runs them again.
enum class ResidualSums { kStop, kPass };

/// The largest chain that makes the result of `output`, without nodes of other chains, `taken`: its
/// nodes and inputs, no more. None where it is no chain that can be run again by itself.
std::optional<Region> grow_chain(torch::jit::Node* output, const InlinedModel& inlined,
                                 const ObservedGraph& observed, const ChainSources& sources,
                                 const ChainEnds& taken, ResidualSums sums);

}  // namespace invact
