// Pattern: ATen's batch norm, in training.
//
//   before   %y = aten::batch_norm(%x, ...)      saves %x and two numbers per channel
//   after    %y = invact::batch_norm(%x, ...)    saves %y and one number per channel
//
// Where an activation reads %y no other operator saves it, as a rule: what is left are linear
// bottlenecks and similar places. Only where the weights in the file let the output determine the
// normalized input (kernels/math/norm_recovery.h). Reads only.
#pragma once

#include <optional>

#include "rewriter/patterns/match.h"

namespace invact {

std::optional<Match> match_batch_norm(torch::jit::Node* node, const MatchContext& context);

}  // namespace invact
