// Linears that copy what they read: LibTorch's linear saves a contiguous copy of a view that is not
// contiguous, for example a transposed one. A segment that makes that view can make the copy
// instead, and run again for it. Reads only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/observed_graph.h"
#include "rewriter/patterns/match.h"

namespace invact {

struct CopyingLinear {
  torch::jit::Node* node = nullptr;
  NodeInput tensor;  ///< The view, as the linear names it.
  StorageId copy;    ///< The copy that it saves.
};

/// The linear that alone reads the tensor behind `view`, a node that hands on its argument's
/// storage, and copies it; none where there is no such one, or where it could not be written as a
/// product and a sum of the same bits.
std::optional<CopyingLinear> copying_linear(const torch::jit::Node* view,
                                            const InlinedModel& inlined,
                                            const ObservedGraph& observed);

}  // namespace invact
