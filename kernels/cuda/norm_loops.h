// The CUDA launches of the norms: the gradient from the output, and whether weight and bias let the
// output determine it. No torch types; asynchronous on the given stream, without allocation.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/activation_loops.h"

namespace invact::kernels::cuda {

/// Contiguous; "compute" is double for float64 and float for the rest. rows > 0, columns > 0.
struct NormGradientArrays {
  const void* grad_output;  ///< Elements, rows x columns.
  const void* output;       ///< Elements, rows x columns.
  const void* rstd;         ///< Compute, rows.
  const void* weight;       ///< Compute, columns; null: ones.
  const void* bias;         ///< Compute, columns; null: zeros.
  void* grad_input;         ///< Elements, rows x columns; null: not wanted.
  void* partial_sums;       ///< Compute, norm_row_blocks() x 2 x columns; null: no sums wanted.
  void* grad_weight;        ///< Compute, columns; null: not wanted.
  void* grad_bias;          ///< Compute, columns; null: not wanted.
  int64_t rows;
  int64_t columns;
};

/// Into how many blocks the rows are divided for the sums: by their number alone, so that sums are
/// added in one order.
int64_t norm_row_blocks(int64_t rows);

void launch_norm_gradient(ElementType type, bool is_centered, const NormGradientArrays& arrays,
                          cudaStream_t stream);

/// Sets *answer to 1 where every column is recoverable (math/norm_recovery.h), else to 0. Weight
/// and bias are of compute type, not both null.
void launch_is_recoverable(ElementType type, const void* weight, const void* bias, int64_t columns,
                           uint8_t* answer, cudaStream_t stream);

}  // namespace invact::kernels::cuda
