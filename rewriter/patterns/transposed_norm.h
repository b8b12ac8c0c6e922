// Pattern: a layer_norm whose result a linear reads transposed (torchvision's attention, an MLP
// over tokens). The linear makes, and saves, a contiguous copy.
//
//   before   %y = aten::layer_norm(%x, ...)              saves %x
//            %t = aten::transpose(%y, 0, 1)
//            %o = aten::linear(%t, %w, %b)               saves a copy of %t
//   after    %y = invact::layer_norm_transposed(%x, ..., 0, 1)    saves %y, laid out as %t
//                                                        and the linear saves %y
//
// Reads only.
#pragma once

#include <optional>

#include "rewriter/patterns/match.h"

namespace invact {

/// A refinement of what match_norm() gives for the node.
std::optional<Match> match_transposed_norm(torch::jit::Node* node, const MatchContext& context);

}  // namespace invact
