// The CPU loop that has outputs back from what dropout made of them. No torch: compiled twice, like
// loops.h.
#pragma once

#include <cstdint>

#include "kernels/storage.h"

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

}  // namespace invact::kernels::cpu
