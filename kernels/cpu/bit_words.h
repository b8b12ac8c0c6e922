// Comparisons of 64 neighbouring elements with a bound, as the bits of one word, and the way back.
// Included only by the *_loops.cpp files, like element_lanes.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/element_lanes.h"
#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::cpu {
namespace {

/// Elements of one word of bits.
constexpr int kWord = kBlock;
static_assert(kWord == 8 * sizeof(uint64_t));

/// Bit i: the mask's lane i.
INVACT_HOST_DEVICE uint64_t bits_of(LaneMask mask) {
#if defined(__AVX512F__)
  return _mm512_kunpackw(mask.high, mask.low);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(math::as_real(mask)));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_ps(math::as_real(mask)));
#else
  uint64_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<uint64_t>(mask[i] != 0) << i;
  return bits;
#endif
}

/// Lane i holds where bit i is set.
INVACT_HOST_DEVICE LaneMask mask_of(uint64_t bits) {
#if defined(__AVX512F__)
  return {static_cast<__mmask16>(bits), static_cast<__mmask16>(bits >> 16)};
#else
#if defined(__AVX2__)
  constexpr Ints kLaneBits = {1, 2, 4, 8, 16, 32, 64, 128};
#else
  constexpr Ints kLaneBits = {1, 2, 4, 8};
#endif
  return (kLaneBits & static_cast<int32_t>(bits & 0xff)) != 0;
#endif
}

constexpr uint32_t kEvenPlaces = 0x55555555;

/// The lanes of load_lanes(const T*) whose elements have their bits set, by the elements' order.
template <class T>
INVACT_HOST_DEVICE LaneMask mask_for(uint64_t bits) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, BFloat16Bits>) {
    const auto of_lanes = static_cast<uint32_t>(bits);
    return {static_cast<__mmask16>(_pext_u32(of_lanes, kEvenPlaces)),
            static_cast<__mmask16>(_pext_u32(of_lanes, ~kEvenPlaces))};
  }
#endif
  return mask_of(bits);
}

/// The way back: bits by the elements' order.
template <class T>
INVACT_HOST_DEVICE uint64_t bits_for(LaneMask mask) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, BFloat16Bits>) {
    return _pdep_u32(mask.low, kEvenPlaces) | _pdep_u32(mask.high, ~kEvenPlaces);
  }
#endif
  return bits_of(mask);
}

/// Bit i: v[i] < bound; of a 16-bit dtype a bound between -2 and -2^-14.
template <class T>
INVACT_HOST_DEVICE uint64_t below(const T* v, float bound) {
  uint64_t word = 0;
  for (int i = 0; i < kWord; i += kLanes) word |= bits_of(load_lanes(v + i) < bound) << i;
  return word;
}
INVACT_HOST_DEVICE uint64_t below(const double* v, double bound) {
  uint64_t word = 0;
  for (int i = 0; i < kWord; ++i) word |= static_cast<uint64_t>(v[i] < bound) << i;
  return word;
}

#if defined(__AVX512F__)
/// Bit i: a 16-bit number's code lies in first ... last. What is below a negative bound, NaN left
/// out, is such a range.
template <class T>
INVACT_HOST_DEVICE uint64_t codes_between(const T* v, int first, int last) {
  const auto half = [&](const T* from) -> uint64_t {
    const __m512i codes = _mm512_loadu_si512(from);
    const __m512i above_first =
        _mm512_sub_epi16(codes, _mm512_set1_epi16(static_cast<short>(first)));
    return _mm512_cmple_epu16_mask(above_first,
                                   _mm512_set1_epi16(static_cast<short>(last - first)));
  };
  return half(v) | half(v + kWord / 2) << kWord / 2;
}
constexpr int kNegative = 0x8000;
constexpr uint32_t magnitude_bits(float bound) {
  return __builtin_bit_cast(uint32_t, bound) & 0x7fffffffu;
}
INVACT_HOST_DEVICE uint64_t below(const BFloat16Bits* v, float bound) {
  constexpr int kInfinity = 0x7f80;
  const int magnitude = static_cast<int>(magnitude_bits(bound) >> 16) + 1;
  return codes_between(v, kNegative | magnitude, kNegative | kInfinity);
}
INVACT_HOST_DEVICE uint64_t below(const HalfBits* v, float bound) {
  constexpr int kInfinity = 0x7c00;
  constexpr int kRebias = (127 - 15) << 10;  // the bound is a normal number
  const int magnitude = static_cast<int>(magnitude_bits(bound) >> 13) - kRebias + 1;
  return codes_between(v, kNegative | magnitude, kNegative | kInfinity);
}
#endif

/// Bit i: v[i] > bound.
INVACT_HOST_DEVICE uint64_t above(const float* v, float bound) {
  uint64_t word = 0;
  for (int i = 0; i < kWord; i += kLanes) word |= bits_of(load_lanes(v + i) > bound) << i;
  return word;
}

// Bit i of a word is bit i % 8 of byte i / 8: LibTorch's platforms are little-endian.
INVACT_HOST_DEVICE uint64_t load_word(const uint8_t* bits) {
  uint64_t word;
  memcpy(&word, bits, sizeof(word));
  return word;
}
INVACT_HOST_DEVICE void store_word(uint64_t word, uint8_t* bits) {
  memcpy(bits, &word, sizeof(word));
}

}  // namespace
}  // namespace invact::kernels::cpu
