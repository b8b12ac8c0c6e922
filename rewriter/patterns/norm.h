// Pattern: ATen's layer_norm and rms_norm.
//
//   before   %y = aten::layer_norm(%x, ...)      saves %x and two numbers per row
//   after    %y = invact::layer_norm(%x, ...)    saves %y and one number per row
//
// Only where the weights in the file let the output tell the normalized input
// (kernels/math/norm_recovery.h): with others the operator saves its input, as the original does.
// Reads only.
#pragma once

#include <optional>

#include "rewriter/patterns/match.h"

namespace invact {

std::optional<Match> match_norm(torch::jit::Node* node, const MatchContext& context);

/// Whether `weight` and `bias` (undefined: none) let an output of `dtype` tell the normalized
/// input: the operator's own answer. The operator library must be registered.
bool is_recoverable(const at::Tensor& weight, const at::Tensor& bias, double weight_offset,
                    at::ScalarType dtype);

/// Rows of a tensor whose last `row_dimensions` dimensions make one.
int64_t row_count(const TensorFacts& output, size_t row_dimensions);

/// Of a floating tensor.
at::ScalarType dtype_of(const TensorFacts& tensor);

/// Says why a norm with these weights saves its input.
Rejection not_recoverable();

}  // namespace invact
