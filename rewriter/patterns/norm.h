// Pattern: ATen's layer_norm and rms_norm.
//
//   before   %y = aten::layer_norm(%x, ...)      saves %x and two numbers per row
//   after    %y = invact::layer_norm(%x, ...)    saves %y and one number per row
//
// Only where the weights in the file let the output determine the normalized input
// (kernels/math/norm_recovery.h): with others the operator saves its input, as the original does.
// Reads only.
#pragma once

#include <optional>

#include "rewriter/patterns/match.h"

namespace invact {

std::optional<Match> match_norm(torch::jit::Node* node, const MatchContext& context);

/// Why a norm with this `weight` and `bias` (undefined: none) would save its input as the original
/// does, because `output` does not determine the normalized input; none where it does. Asks the
/// operator itself. The operator library must be registered.
std::optional<Rejection> check_recoverable(const at::Tensor& weight, const at::Tensor& bias,
                                           double weight_offset, const TensorFacts& output);

/// Rows of a tensor whose last `row_dimensions` dimensions make one.
int64_t row_count(const TensorFacts& output, size_t row_dimensions);

}  // namespace invact
