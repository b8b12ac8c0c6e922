// The CPU loop that has outputs back from what dropout made of them. No torch: compiled for each
// instruction set, like loops.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/instruction_set.h"

namespace invact::kernels::cpu {

struct RecoverArrays {
  const void* dropped;
  const uint8_t* kept;  ///< As KeepArrays::bits.
  double divisor;
  void* output;  ///< dropped / divisor, correctly rounded, where kept; else zero, whatever stood
                 ///< there.
  int64_t count;
};

namespace baseline {
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace baseline

namespace avx2 {
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace avx2

namespace avx512 {
void recover(ElementType type, const RecoverArrays& arrays);
}  // namespace avx512

inline decltype(&baseline::recover) recover_loop() {
  return chosen_loop(&baseline::recover, &avx2::recover, &avx512::recover);
}

}  // namespace invact::kernels::cpu
