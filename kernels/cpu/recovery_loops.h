// The CPU loop that has outputs back from what dropout made of them. No torch: compiled for each
// instruction set, like loops.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/loops.h"

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
void recover(Storage storage, const RecoverArrays& arrays);
}  // namespace baseline

namespace avx2 {
void recover(Storage storage, const RecoverArrays& arrays);
}  // namespace avx2

namespace avx512 {
void recover(Storage storage, const RecoverArrays& arrays);
}  // namespace avx512

/// The fastest that this processor runs.
inline decltype(&baseline::recover) recover_loop() {
  if (has_avx512()) return &avx512::recover;
  return has_avx2() ? &avx2::recover : &baseline::recover;
}

}  // namespace invact::kernels::cpu
