// Pattern: RMSNorm as models write it out.
//
//   before   %x32 = %x.to(float32)                                            saves %x32,
//            %n = %x32 * rsqrt(%x32.pow(2).mean(-1, True) + eps)              %n and more
//            %y = weight * %n.to(dtype), or (n * (1 + weight.float())).type_as(x)
//   after    %y = invact::rms_norm_cast(%x, [n], weight, eps, offset, ...)    saves %y and a
//                                                                             number per row
//
// The operator runs the same steps with the same roundings. Reads only.
#pragma once

#include <optional>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/patterns/match.h"

namespace invact {

/// `root` makes the norm's result. With a weight of one dimension alone.
std::optional<Match> match_rms_norm(torch::jit::Node* root, const InlinedModel& inlined,
                                    const MatchContext& context);

}  // namespace invact
