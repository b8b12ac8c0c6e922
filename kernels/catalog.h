// The one table of what invact knows about operators: which ATen operator each of ours replaces,
// what it saves per element, and the error bound that the tests prove. Plain data: no torch header,
// so that the analyzer, the rewriter and the command line can read it alike. Which ATen operators
// count as heavy for a model's floor: heavy_operators.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace invact::kernels {

/// Largest absolute error of f'(x) recovered from the stored output, by element type, for the
/// default parameters; measured by the tests named in catalog.cpp. For the 16-bit types the bound
/// is set by the output's own precision.
struct DerivativeErrorBound {
  double float64;
  double float32;
  double bfloat16;
  double float16;
};

/// One ATen operator that the operator library replaces.
struct Activation {
  /// Qualified name without overload: "aten::gelu". Empty for a function that ATen has no operator
  /// for (models write it out).
  std::string_view aten_op;

  /// Its replacement, which has the same schema: "invact::gelu".
  std::string_view invact_op;

  /// The value of `approximate` that this row is for ("none", "tanh"); empty where the operator has
  /// no such argument.
  std::string_view variant;

  /// Whether it writes its input.
  bool in_place;

  /// "output": it saves the output and branch bits. "closed": it saves the output alone, and the
  /// derivative is equal up to rounding.
  std::string_view strategy;

  /// Bits that it saves beside the output, packed: ceil(n * bits / 8) bytes in all.
  int64_t branch_bits_per_element;

  DerivativeErrorBound error_bound;

  /// Whether with these parameters (those behind `self`, in the schema's order) the output
  /// determines the derivative; null: the operator has none.
  bool (*is_invertible)(std::span<const double> parameters);
};

/// Every activation of the operator library that has an ATen operator, in the order `invact ops`
/// prints them.
std::span<const Activation> activations();

/// The library's operators for functions that ATen has no operator for, or another forward: a
/// rewrite makes them where a model writes them out.
std::span<const Activation> written_out_activations();

/// ATen's activations that save their own output already, so that there is nothing to replace.
std::span<const std::string_view> output_saving_activations();

/// The test that proves the row's error bounds, as a path in the repository.
std::string_view proof(const Activation& activation);

/// The row for an operator ("aten::silu") and variant ("" where the operator has none); null if
/// there is none.
const Activation* find_activation(std::string_view aten_op, std::string_view variant);

/// The first row of activations() whose replacement is `invact_op`; null if there is none.
const Activation* find_replacement(std::string_view invact_op);

/// Whether any row replaces this operator, whatever its variant.
bool is_activation(std::string_view aten_op);

/// Bytes of the packed branch bits that `activation` saves for an output of `element_count`
/// elements.
int64_t branch_bytes(const Activation& activation, int64_t element_count);

/// One norm. Its replacement saves the output, whose storage the next layer saves anyway; one
/// number per row; weight and bias. The number is float32 (float64 for a float64 output), except
/// that the CPU's layer_norm saves it in the dtype of its parameters (of its input, without any).
/// Batch norm saves one number per channel, in the dtype of ATen's own.
struct Norm {
  /// Empty for the norm that models write out (ops.h says which of its arguments stand for which
  /// spelling).
  std::string_view aten_op;
  std::string_view invact_op;
  bool has_bias;
  bool is_per_channel = false;  ///< Batch norm.
};

std::span<const Norm> norms();

/// Largest |bias| / |weight| of a column with which a call saves its output and not its input, by
/// the output's dtype. A prediction asks math::is_recoverable (math/norm_recovery.h) of every
/// column, in float32 (float64 for float64), as the kernels do; it knows the other reasons too.
struct RecoveryRatios {
  double float64;
  double float32;
  double bfloat16;
  double float16;
};
RecoveryRatios recovery_ratios();

/// Dropout. Its replacement draws the same numbers, gives the same output and gradient bit for bit,
/// and saves bits alone.
struct Dropout {
  std::string_view aten_op;
  std::string_view invact_op;
  bool in_place;
};

std::span<const Dropout> dropouts();

/// Bytes that a dropout in training with 0 < p < 1 saves of `element_count` elements; with another
/// p, or not in training, it saves what ATen's does.
int64_t saved_bytes(const Dropout& dropout, int64_t element_count);

/// Dropout of an activation as one operator, NAME_dropout(self, p, train, parameters of NAME). Same
/// random numbers and output, bit for bit; it saves the dropped output and bits, where the two save
/// the activation's input and a mask.
struct ActivationDropout {
  std::string_view activation_op;  ///< "invact::gelu": Activation::invact_op.
  std::string_view invact_op;      ///< "invact::gelu_dropout".
};

std::span<const ActivationDropout> activation_dropouts();

/// The operator for dropout of what `activation` makes; null for one that writes its input.
const ActivationDropout* find_activation_dropout(const Activation& activation);

/// Bytes that it saves beside its output, in training with 0 < p < 1: a bit per element for what
/// was dropped, and the activation's branch bits.
int64_t dropout_and_branch_bytes(const Activation& activation, int64_t element_count);

}  // namespace invact::kernels
