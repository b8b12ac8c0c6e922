// From bytes that are 0 or 1 to bits, eight at once. No torch: CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// Bit i of the result: the lowest bit of byte i of eight.
INVACT_HOST_DEVICE uint8_t bits_of_bytes(uint64_t bytes) {
  constexpr uint64_t kLowestBits = 0x0101010101010101u;
  // Brings bit 8 i to bit 56 + i; no two products meet in one bit.
  constexpr uint64_t kGather = 0x0102040810204080u;
  return static_cast<uint8_t>((bytes & kLowestBits) * kGather >> 56);
}

}  // namespace invact::kernels::math
