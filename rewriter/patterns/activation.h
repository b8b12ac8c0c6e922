// Pattern: one ATen activation that the operator library can replace by a node of the same schema.
//
//   before   %y = aten::gelu(%x, %approximate)        saves %x (and the consumer saves %y)
//   after    %y = invact::gelu(%x, %approximate)      saves %y and one bit per element, or none
//
// In-place forms (aten::silu_) save a copy of their input today, and become invact::silu_. Reads
// only.
#pragma once

#include <optional>

#include "kernels/catalog.h"
#include "rewriter/patterns/match.h"

namespace invact {

/// Matches a node whose operator the catalog knows, whatever its variant.
std::optional<Match> match_activation(torch::jit::Node* node);

/// What a match saves instead, once it is `activation`.
void save_output(const kernels::Activation& activation, Match& match);

}  // namespace invact
