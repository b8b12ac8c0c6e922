// Pattern: one ATen activation that the operator library can replace by a node of the same schema.
//
//   before   %y = aten::gelu(%x, %approximate)        keeps %x (and the consumer keeps %y)
//   after    %y = invact::gelu(%x, %approximate)      keeps %y and one bit per element, or none
//
// In-place forms (aten::silu_) keep a copy of their input today, and become invact::silu_. Reads
// only.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <string>

#include "kernels/catalog.h"

namespace invact {

struct ActivationMatch {
  std::string op;  ///< "aten::gelu".
  /// The catalog's row; null where the variant is unknown or decided at run time.
  const kernels::Activation* activation = nullptr;
  /// Whether the output tells the derivative with the call's parameters (kernels/catalog.h); none
  /// where one of them is decided at run time.
  std::optional<bool> is_invertible = true;
  torch::jit::Node* node = nullptr;
};

/// Matches a node whose operator the catalog knows, whatever its variant.
std::optional<ActivationMatch> match_activation(torch::jit::Node* node);

}  // namespace invact
