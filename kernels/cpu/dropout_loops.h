// The CPU loops of dropout over flat memory: drawn bytes to bits and output, the gradient from
// bits, and the outputs of an activation recovered from what dropout made of them. No torch:
// compiled for each instruction set, like activation_loops.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/instruction_set.h"

namespace invact::kernels::cpu {

struct DropArrays {
  const void* input;
  const uint8_t* drawn;  ///< One byte per element: 1 where it is kept, else 0.
  double scale;          ///< Of a kept element; a number of the element type.
  void* output;          ///< input * (scale or 0); null: the bits alone, and `input` is not read.
  uint8_t* bits;         ///< As ForwardArrays::bits.
  int64_t count;
};

struct KeepArrays {
  const void* input;
  const uint8_t* bits;
  double scale;
  void* output;  ///< input * (scale or 0)
  int64_t count;
};

struct RecoverArrays {
  const void* dropped;
  const uint8_t* kept;  ///< As KeepArrays::bits.
  double divisor;
  void* output;  ///< dropped / divisor, correctly rounded, where kept; else zero, whatever
                 ///< `dropped` holds there.
  int64_t count;
};

namespace baseline {
void drop(ElementType type, const DropArrays& arrays);
void keep(ElementType type, const KeepArrays& arrays);
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace baseline

namespace avx2 {
void drop(ElementType type, const DropArrays& arrays);
void keep(ElementType type, const KeepArrays& arrays);
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace avx2

namespace avx512 {
void drop(ElementType type, const DropArrays& arrays);
void keep(ElementType type, const KeepArrays& arrays);
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace avx512

inline decltype(&baseline::drop) drop_loop() {
  return chosen_loop(&baseline::drop, &avx2::drop, &avx512::drop);
}
inline decltype(&baseline::keep) keep_loop() {
  return chosen_loop(&baseline::keep, &avx2::keep, &avx512::keep);
}
inline decltype(&baseline::recover) recover_loop() {
  return chosen_loop(&baseline::recover, &avx2::recover, &avx512::recover);
}

}  // namespace invact::kernels::cpu
