// Flags of one byte each to packed bits: loops fill bytes, which vectorises, and these gather them.
// Included only by loops.cpp, inside that unit's own namespace.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

/// Eight flags of 0 or 1, one per byte, to eight bits: the multiplication moves flag i to bit 56 +
/// i.
INVACT_HOST_DEVICE uint8_t gather_bits(const uint8_t* flags) {
  constexpr uint64_t kGather = 0x0102040810204080u;
  uint64_t lanes;
  memcpy(&lanes, flags, sizeof(lanes));
  return static_cast<uint8_t>((lanes * kGather) >> 56);
}

/// The set flags of a block, one after the other.
template <int kCount>
class SetFlags {
 public:
  INVACT_HOST_DEVICE explicit SetFlags(const uint8_t* flags) {
    for (int word = 0; word < kWords; ++word) {
      uint64_t bits = 0;
      for (int byte = 0; byte < 8; ++byte) {
        bits |= static_cast<uint64_t>(gather_bits(flags + 64 * word + 8 * byte)) << 8 * byte;
      }
      words_[word] = bits;
    }
  }

  /// The index of the next set flag; -1 after the last.
  INVACT_HOST_DEVICE int next() {
    while (words_[word_] == 0) {
      if (++word_ == kWords) {
        word_ = kWords - 1;
        return -1;
      }
    }
    const int index = 64 * word_ + __builtin_ctzll(words_[word_]);
    words_[word_] &= words_[word_] - 1;
    return index;
  }

 private:
  static_assert(kCount % 64 == 0);
  static constexpr int kWords = kCount / 64;
  uint64_t words_[kWords];
  int word_ = 0;
};

}  // namespace
}  // namespace invact::kernels::cpu
