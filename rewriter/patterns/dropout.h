// Pattern: ATen's dropout in training.
//
//   before   %y = aten::dropout(%x, %p, %train)      saves its mask, a number per element
//   after    %y = invact::dropout(%x, %p, %train)    saves a bit per element
//
// The same random numbers are drawn, and result and gradient stay the same bit for bit. Reads only.
#pragma once

#include <optional>

#include "rewriter/patterns/match.h"

namespace invact {

/// None where the code says that nothing, or everything, is dropped: no mask is saved then.
std::optional<Match> match_dropout(torch::jit::Node* node);

}  // namespace invact
