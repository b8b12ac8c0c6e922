// Conversion of a short block between a storage dtype and the float (or double) that the loops
// compute in. Included only by loops.cpp, inside that unit's own namespace: compiled for two
// instruction sets, so nothing here may have external linkage.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

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

template <int kCount>
INVACT_HOST_DEVICE void load_block(const BFloat16Bits* from, float* to) {
  for (int i = 0; i < kCount; ++i) to[i] = to_float(from[i]);
}

template <int kCount>
INVACT_HOST_DEVICE void store_block(const float* from, BFloat16Bits* to) {
  for (int i = 0; i < kCount; ++i) to[i] = to_bfloat16(from[i]);
}

template <int kCount>
INVACT_HOST_DEVICE void load_block(const HalfBits* from, float* to) {
#if defined(__F16C__)
  for (int i = 0; i < kCount; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
#else
  for (int i = 0; i < kCount; ++i) to[i] = to_float(from[i]);
#endif
}

template <int kCount>
INVACT_HOST_DEVICE void store_block(const float* from, HalfBits* to) {
#if defined(__F16C__)
  for (int i = 0; i < kCount; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
  }
#else
  for (int i = 0; i < kCount; ++i) to[i] = to_half(from[i]);
#endif
}

template <int kCount, class Real>
INVACT_HOST_DEVICE void load_block(const Real* from, Real* to) {
  memcpy(to, from, kCount * sizeof(Real));
}

template <int kCount, class Real>
INVACT_HOST_DEVICE void store_block(const Real* from, Real* to) {
  memcpy(to, from, kCount * sizeof(Real));
}

}  // namespace
}  // namespace invact::kernels::cpu
