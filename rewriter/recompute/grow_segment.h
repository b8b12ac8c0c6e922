// One segment of cheap operators, from its result towards what feeds it. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"
#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/segments.h"

namespace invact {

/// Whether a segment stops at residual sums or runs them again.
enum class ResidualSums { kStop, kPass };

/// The largest segment that makes the result of `output`, without the nodes of other segments,
/// `taken`. Only its nodes and inputs are filled in. None where it cannot run again by itself.
std::optional<Segment> grow_segment(torch::jit::Node* output, const InlinedModel& inlined,
                                    const ObservedGraph& observed, const SumSources& sources,
                                    const SegmentEnds& taken, ResidualSums sums);

}  // namespace invact
