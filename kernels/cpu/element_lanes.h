// Loads and stores of the lanes that the loops compute with (math/lanes.h) from and to an
// element type. Included only by the *_loops.cpp files, which are compiled for several
// instruction sets: nothing here may have external linkage, or the linker could take code for AVX2
// in a baseline file's place.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::cpu {
namespace {

using math::Floats;
using math::Ints;
using math::kLanes;
using math::LaneMask;

/// Bits of a bfloat16 and of a half: distinct types, so that overloads tell them apart.
struct BFloat16Bits {
  uint16_t bits;
};
struct HalfBits {
  uint16_t bits;
};

INVACT_HOST_DEVICE float to_float(BFloat16Bits v) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(v.bits) << 16);
}

INVACT_HOST_DEVICE BFloat16Bits to_bfloat16(float v) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, v);
  const uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);  // to nearest, ties to even
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;  // rounding could carry a NaN to infinity
  return {static_cast<uint16_t>((is_nan ? bits | 0x00400000u : rounded) >> 16)};
}

// Half by arithmetic: exponents are moved by a multiplication, which also normalises and
// denormalises.
INVACT_HOST_DEVICE float to_float(HalfBits v) {
  constexpr float kRebias = 0x1p112f;
  const uint32_t magnitude = static_cast<uint32_t>(v.bits & 0x7fffu) << 13;
  const float scaled = __builtin_bit_cast(float, magnitude) * kRebias;
  const uint32_t finite = __builtin_bit_cast(uint32_t, scaled);
  const uint32_t bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : finite;
  return __builtin_bit_cast(float, bits | static_cast<uint32_t>(v.bits & 0x8000u) << 16);
}

INVACT_HOST_DEVICE HalfBits to_half(float v) {
  constexpr float kSmallestNormal = 0x1p-14f;
  constexpr float kSubnormalAlign = 0x1p-1f;  // its ulp is 2^-24, the spacing of subnormal halves
  const uint32_t bits = __builtin_bit_cast(uint32_t, v);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  const float absolute = __builtin_bit_cast(float, magnitude);
  const uint32_t subnormal = __builtin_bit_cast(uint32_t, absolute + kSubnormalAlign) -
                             __builtin_bit_cast(uint32_t, kSubnormalAlign);
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  uint32_t half = (rounded - 0x38000000u) >> 13;
  half = absolute < kSmallestNormal ? subnormal : half;
  half = rounded >= 0x47800000u ? 0x7c00u : half;   // 65520 and above round to infinity
  half = magnitude > 0x7f800000u ? 0x7e00u : half;  // NaN
  return {static_cast<uint16_t>(half | sign)};
}

#if defined(__AVX512F__)
// A copy of both registers at once would go through the stack.
INVACT_HOST_DEVICE Floats load_lanes(const float* from) {
  return {_mm512_loadu_ps(from), _mm512_loadu_ps(from + kLanes / 2)};
}
INVACT_HOST_DEVICE void store_lanes(Floats lanes, float* to) {
  _mm512_storeu_ps(to, lanes.low);
  _mm512_storeu_ps(to + kLanes / 2, lanes.high);
}
#else
INVACT_HOST_DEVICE Floats load_lanes(const float* from) {
  Floats lanes;
  memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}
INVACT_HOST_DEVICE void store_lanes(Floats lanes, float* to) {
  memcpy(to, &lanes, sizeof(lanes));
}
#endif

/// As to_bfloat16(), for a NaN that has nothing in the low half, which rounding could carry.
INVACT_HOST_DEVICE Ints bfloat16_in_high_half(Floats lanes) {
  const Ints bits = math::as_bits(lanes);
  return bits + 0x7fff + (bits >> 16 & 1);
}

#if defined(__AVX512F__)
template <class T>
INVACT_HOST_DEVICE __m256i load_half(const T* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
// bfloat16: the elements of even place in `low`, those of odd place in `high` (mask_for() in
// bit_words.h). So each register's are widened by one instruction.
INVACT_HOST_DEVICE Floats load_lanes(const BFloat16Bits* from) {
  constexpr int kHighHalf = -0x10000;
  const __m512i pairs = _mm512_loadu_si512(from);
  return {
      __builtin_bit_cast(Floats::Vector, _mm512_slli_epi32(pairs, 16)),
      __builtin_bit_cast(Floats::Vector, _mm512_and_si512(pairs, _mm512_set1_epi32(kHighHalf)))};
}

/// The order that takes the halves numbered `first`, `first` + 2, ... of two registers' 16-bit
/// numbers in turns.
constexpr auto alternating_halves(int first) {
  struct Order {
    short place[kLanes];
  } order{};
  for (int i = 0; i < kLanes; i += 2) {
    order.place[i] = static_cast<short>(first + i);
    order.place[i + 1] = static_cast<short>(kLanes + first + i);
  }
  return order;
}

// As to_bfloat16(), without its care for NaN: what is stored are products of bfloat16 numbers and
// forms of them, whose NaNs have nothing in the low half that rounding could carry.
INVACT_HOST_DEVICE void store_lanes(Floats lanes, BFloat16Bits* to) {
  const __m512i even = __builtin_bit_cast(__m512i, lanes.low);
  const __m512i odd = __builtin_bit_cast(__m512i, lanes.high);
  constexpr auto kHigh = alternating_halves(1);
  constexpr auto kLow = alternating_halves(0);
  const __m512i high = _mm512_permutex2var_epi16(even, __builtin_bit_cast(__m512i, kHigh), odd);
  const __m512i low = _mm512_permutex2var_epi16(even, __builtin_bit_cast(__m512i, kLow), odd);
  // What rounding carries out of the low half: the average is (low + 0x7fff + [high is odd]) / 2.
  constexpr int kFirstOrBoth = 0xea;  // (a & b) | c
  const __m512i addend = _mm512_ternarylogic_epi32(high, _mm512_set1_epi16(1),
                                                   _mm512_set1_epi16(0x7ffe), kFirstOrBoth);
  const __m512i average = _mm512_avg_epu16(low, addend);
  _mm512_storeu_si512(to, _mm512_sub_epi16(high, _mm512_srai_epi16(average, 15)));
}

INVACT_HOST_DEVICE Floats load_lanes(const HalfBits* from) {
  return {_mm512_cvtph_ps(load_half(from)), _mm512_cvtph_ps(load_half(from + kLanes / 2))};
}

INVACT_HOST_DEVICE void store_lanes(Floats lanes, HalfBits* to) {
  const auto store_half = [](__m512 half, HalfBits* place) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(place),
                        _mm512_cvtps_ph(half, _MM_FROUND_TO_NEAREST_INT));
  };
  store_half(lanes.low, to);
  store_half(lanes.high, to + kLanes / 2);
}
#elif defined(__AVX2__)
INVACT_HOST_DEVICE Floats load_lanes(const BFloat16Bits* from) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return math::as_real(__builtin_bit_cast(Ints, _mm256_cvtepu16_epi32(halves)) << 16);
}

INVACT_HOST_DEVICE __m256i bfloat16_in_low_half(Floats lanes) {
  return _mm256_srli_epi32(__builtin_bit_cast(__m256i, bfloat16_in_high_half(lanes)), 16);
}

INVACT_HOST_DEVICE void store_pair(Floats first, Floats second, BFloat16Bits* to) {
  // packus works within each half of a register; the permutation puts the quarters in order.
  const __m256i packed =
      _mm256_packus_epi32(bfloat16_in_low_half(first), bfloat16_in_low_half(second));
  constexpr int kOuterThenInner = 0xd8;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm256_permute4x64_epi64(packed, kOuterThenInner));
}

INVACT_HOST_DEVICE Floats load_lanes(const HalfBits* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

INVACT_HOST_DEVICE void store_lanes(Floats lanes, HalfBits* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(lanes, _MM_FROUND_TO_NEAREST_INT));
}
#else
template <class T>
INVACT_HOST_DEVICE Floats load_lanes(const T* from) {
  Floats lanes;
  for (int i = 0; i < kLanes; ++i) lanes[i] = to_float(from[i]);
  return lanes;
}

INVACT_HOST_DEVICE void store_lanes(Floats lanes, BFloat16Bits* to) {
  for (int i = 0; i < kLanes; ++i) to[i] = to_bfloat16(lanes[i]);
}

INVACT_HOST_DEVICE void store_lanes(Floats lanes, HalfBits* to) {
  for (int i = 0; i < kLanes; ++i) to[i] = to_half(lanes[i]);
}
#endif

/// Two neighbouring sets of lanes: one store where the dtype is narrow.
template <class T>
INVACT_HOST_DEVICE void store_pair(Floats first, Floats second, T* to) {
  store_lanes(first, to);
  store_lanes(second, to + kLanes);
}

}  // namespace
}  // namespace invact::kernels::cpu
