// An expression of one tensor in elementary operators and casts, and which of the library's
// functions it computes: known by its values, not by its spelling. Part of the pattern in
// written_out.h. Reads only.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kernels/catalog.h"

namespace invact {

/// Nodes in the order of running, and the one tensor that they read.
struct Expression {
  std::vector<torch::jit::Node*> nodes;
  torch::jit::Value* input = nullptr;
};

/// The dtype, or the tensor whose dtype it takes, of a cast that leaves shape and layout alone;
/// null where the node is none.
torch::jit::Value* cast_target(const torch::jit::Node* node);

/// Whether the node is an operator that may be part of an expression; in place where it overwrites
/// what another such node has made for it alone, as in relu6(x + 3).div_(6).
bool is_elementwise(const torch::jit::Node* node);

/// A number, a string or a tensor without dimensions: neither changes shape nor dtype of a result.
std::optional<c10::IValue> plain_constant(const torch::jit::Value* value);

/// The tensor whose dtype `value` is; null where it is something else.
torch::jit::Value* tensor_of_dtype(const torch::jit::Value* value);

/// What the expression computes, as a text: equal texts are the same function.
std::string description(const Expression& expression);

/// How an expression and an operator compare in one dtype of the input.
struct DtypeComparison {
  at::ScalarType dtype = at::kFloat;
  bool same_dtype = false;  ///< The expression's result has its input's dtype.
  bool casts = false;       ///< On the way to it some value has another.
  /// Largest difference, in units of the last place of max(|x|, |y|).
  double ulp = 0;

  /// Whether the operator may stand for it.
  bool is_close() const;
};

/// The function that an expression is, and how it compares in float64, float32, bfloat16, float16.
struct Recognized {
  const kernels::Activation* activation = nullptr;
  std::array<DtypeComparison, 4> dtypes;

  /// Null for another dtype.
  const DtypeComparison* in(at::ScalarType dtype) const;
};

/// What stands behind `self`: the schema's defaults, and the row's variant.
std::vector<c10::IValue> arguments_behind_self(const kernels::Activation& activation);

/// The function whose operator comes closest. None where the expression is no function of the
/// library, or where its casts change no dtype in any dtype in which the operator may stand for it:
/// what is between them is an expression by itself. The operator library must be registered.
Recognized recognize(const Expression& expression);

}  // namespace invact
