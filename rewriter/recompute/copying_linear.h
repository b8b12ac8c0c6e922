// Linears that copy what they read: of a view that is not contiguous, as a transposed one,
// LibTorch's linear keeps a copy of its own, which a chain that makes it could run again. Reads
// only.
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
  StorageId copy;    ///< What it keeps.
};

/// The linear that alone reads the tensor behind `view`, a node that hands on its argument's
/// storage, and copies it; none where there is no such one, or where it could not be written as a
/// product and a sum of the same bits.
std::optional<CopyingLinear> copying_linear(const torch::jit::Node* view,
                                            const InlinedModel& inlined,
                                            const ObservedGraph& observed);

}  // namespace invact
