// What the analyzer knows about ATen's operators beyond the catalog: which of them only move, cast
// or combine values that other tensors hold already. Plain data.
#pragma once

#include <string_view>

namespace invact {

enum class OperatorKind {
  kOther,
  kCast,       ///< The same values in another dtype.
  kCopy,       ///< The same values in another layout, or again.
  kNorm,       ///< Batch norm, layer norm, ...: the output determines the normalized input.
  kProduct,    ///< An elementwise product.
  kDropout,    ///< Keeps a mask of its own.
  kPointwise,  ///< Elementwise, of one tensor or several, and cheap.
};

/// Of an operator without overload ("aten::mul"); in-place forms are of the kind of their plain
/// ones.
OperatorKind operator_kind(std::string_view op);

/// Writes to its first argument: "aten::add_".
bool is_in_place(std::string_view op);

}  // namespace invact
