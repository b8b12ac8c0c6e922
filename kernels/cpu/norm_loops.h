// The CPU loops of the norms over rows: the gradient from the output, and whether weight and bias
// let the output determine it. No torch: compiled for the baseline and for AVX2, like
// activation_loops.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/activation_loops.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {

/// Vectors of columns are padded with zeros to a multiple of this.
constexpr int64_t kNormPadding = 16;

/// Columns with their padding.
INVACT_HOST_DEVICE constexpr int64_t padded(int64_t columns) {
  return (columns + kNormPadding - 1) / kNormPadding * kNormPadding;
}

/// A block of rows. "compute" is double for float64 and float for the rest.
struct NormGradientArrays {
  const void* grad_output;     ///< Elements, rows x columns.
  const void* output;          ///< Elements, rows x columns.
  const void* rstd;            ///< Compute, rows.
  const void* weight;          ///< Compute, padded; null: ones, and zeros for bias.
  const void* inverse_weight;  ///< Compute, padded; null with weight.
  const void* bias;            ///< Compute, padded; null with weight, and where not centered.
  void* grad_input;            ///< Elements, rows x columns; null: not wanted.
  void* weight_sums;  ///< Compute, padded; set to sums over rows of grad_output * (output - bias);
                      ///< null: not wanted.
  void* bias_sums;    ///< Compute, padded; set to sums of grad_output; not read where not centered.
  int64_t rows;
  int64_t columns;
};

/// A centered norm subtracts the row's mean (layer_norm); the other does not (rms_norm).
using NormGradientLoop = void (*)(ElementType, bool is_centered, const NormGradientArrays&);

/// What a norm multiplies by and adds, in one element type that `output`'s compute type holds.
struct ParameterArrays {
  ElementType type;
  const void* weight;  ///< Null: ones.
  const void* bias;    ///< Null: zeros.
  double weight_offset;
  int64_t columns;
};

/// Whether every column determines x_hat (math/norm_recovery.h).
using RecoveryLoop = bool (*)(ElementType output, const ParameterArrays&);

/// Numbers of an element type as compute numbers, and rounded from them. Not between float64 and
/// the rest.
using ReadLoop = void (*)(ElementType from, const void* numbers, void* compute, int64_t count);
using WriteLoop = void (*)(ElementType to, const void* compute, void* numbers, int64_t count);

namespace baseline {
void read_numbers(ElementType from, const void* numbers, void* compute, int64_t count);
void write_numbers(ElementType to, const void* compute, void* numbers, int64_t count);
void norm_gradient(ElementType type, bool is_centered, const NormGradientArrays& arrays);
bool is_recoverable(ElementType output, const ParameterArrays& parameters);
}  // namespace baseline

namespace avx2 {
void read_numbers(ElementType from, const void* numbers, void* compute, int64_t count);
void write_numbers(ElementType to, const void* compute, void* numbers, int64_t count);
void norm_gradient(ElementType type, bool is_centered, const NormGradientArrays& arrays);
bool is_recoverable(ElementType output, const ParameterArrays& parameters);
}  // namespace avx2

}  // namespace invact::kernels::cpu
