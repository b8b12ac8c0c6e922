// The CPU loops of a batch norm whose statistics are known: x alpha + beta, alpha and beta one per
// channel. No torch: compiled for the baseline and for AVX2, like activation_loops.h. The two units
// differ in more than speed: the AVX2 one fuses product and sum, the baseline rounds both, and
// repeated_batch_norm.cpp takes the one that has ATen's bits.
#pragma once

#include <cstdint>

#include "kernels/cpu/activation_loops.h"
#include "kernels/element_type.h"

namespace invact::kernels::cpu {

struct LinearArrays {
  const void* input;  ///< Rows x columns; so is output, which is other memory.
  const void* alpha;  ///< One per row, or one per column.
  const void* beta;
  void* output;
  int64_t rows;
  int64_t columns;
};

/// For float64 and float32.
using LinearLoop = void (*)(ElementType, bool is_per_row, const LinearArrays&);

namespace baseline {
void linear(ElementType type, bool is_per_row, const LinearArrays& arrays);
}  // namespace baseline

namespace avx2 {
void linear(ElementType type, bool is_per_row, const LinearArrays& arrays);
}  // namespace avx2

}  // namespace invact::kernels::cpu
