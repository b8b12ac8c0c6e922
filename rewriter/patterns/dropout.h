// Pattern: ATen's dropout in training.
//
//   before   %y = aten::dropout(%x, %p, %train)      saves its mask, a number per element
//   after    %y = invact::dropout(%x, %p, %train)    saves a bit per element
//
// The same random numbers are drawn, and result and gradient stay the same bit for bit. Reads only.
//
// Pattern: an ATen activation whose result a dropout alone reads.
//
//   before   %y = aten::gelu(%x, %approximate)                saves %x
//            %z = aten::dropout(%y, %p, %train)               saves its mask, a number per element
//   after    %z = invact::gelu_dropout(%x, %p, %train, %approximate)
//                                                             saves %z, a bit per element for what
//                                                             was dropped and one for the branch
//
// Same random numbers, same result bit for bit. Both nodes stand in the same code: where the
// activation and the dropout are modules of their own (nn.GELU and nn.Dropout in a Sequential), no
// one method or function holds both, and each is a site for itself. Reads only.
#pragma once

#include <optional>
#include <string>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/patterns/match.h"

namespace invact {

/// None where the code says that nothing, or everything, is dropped: no mask is saved then.
std::optional<Match> match_dropout(torch::jit::Node* node);

/// `node` is the dropout. With a constant 0 < p < 1, and not where the code says that it is not in
/// training; an activation that writes its input, or whose own site would be refused, is let alone.
std::optional<Match> match_activation_dropout(torch::jit::Node* node, const InlinedModel& inlined);

/// Whether some match has this op, or it as an alias of its own.
bool is_activation_dropout(const std::string& name);

}  // namespace invact
