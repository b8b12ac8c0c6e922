// AVX-512's lanes (lanes.h): two registers as one number, since each coefficient of a form is then
// read from memory once for both, and there are too many of them to stay in registers. Masks are
// the mask registers' own type. Included only by lanes.h, on the host.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/math/host_device.h"

namespace invact::kernels::math {

struct PairedMask {
  __mmask16 low;
  __mmask16 high;
};

struct PairedInts {
  using Vector = int32_t __attribute__((vector_size(64)));
  Vector low;
  Vector high;
};

struct PairedFloats {
  using Vector = float __attribute__((vector_size(64)));
  Vector low;
  Vector high;
};

INVACT_HOST_DEVICE PairedMask operator&(PairedMask a, PairedMask b) {
  return {static_cast<__mmask16>(a.low & b.low), static_cast<__mmask16>(a.high & b.high)};
}
INVACT_HOST_DEVICE PairedMask operator|(PairedMask a, PairedMask b) {
  return {static_cast<__mmask16>(a.low | b.low), static_cast<__mmask16>(a.high | b.high)};
}

#define INVACT_PAIRED_OPERATOR(Pair, Number, op)          \
  INVACT_HOST_DEVICE Pair operator op(Pair a, Pair b) {   \
    return {a.low op b.low, a.high op b.high};            \
  }                                                       \
  INVACT_HOST_DEVICE Pair operator op(Pair a, Number b) { \
    return {a.low op b, a.high op b};                     \
  }                                                       \
  INVACT_HOST_DEVICE Pair operator op(Number a, Pair b) { \
    return {a op b.low, a op b.high};                     \
  }
INVACT_PAIRED_OPERATOR(PairedFloats, float, +)
INVACT_PAIRED_OPERATOR(PairedFloats, float, -)
INVACT_PAIRED_OPERATOR(PairedFloats, float, *)
INVACT_PAIRED_OPERATOR(PairedFloats, float, /)
INVACT_PAIRED_OPERATOR(PairedInts, int32_t, +)
INVACT_PAIRED_OPERATOR(PairedInts, int32_t, -)
INVACT_PAIRED_OPERATOR(PairedInts, int32_t, &)
#undef INVACT_PAIRED_OPERATOR

INVACT_HOST_DEVICE PairedFloats operator-(PairedFloats v) {
  return {-v.low, -v.high};
}
INVACT_HOST_DEVICE PairedInts operator<<(PairedInts v, int count) {
  return {v.low << count, v.high << count};
}
INVACT_HOST_DEVICE PairedInts operator>>(PairedInts v, int count) {
  return {v.low >> count, v.high >> count};
}

#define INVACT_PAIRED_COMPARISON(op, predicate)                                       \
  INVACT_HOST_DEVICE PairedMask operator op(PairedFloats a, PairedFloats b) {         \
    return {_mm512_cmp_ps_mask(a.low, b.low, predicate),                              \
            _mm512_cmp_ps_mask(a.high, b.high, predicate)};                           \
  }                                                                                   \
  INVACT_HOST_DEVICE PairedMask operator op(PairedFloats a, float b) {                \
    return a op PairedFloats{PairedFloats::Vector{} + b, PairedFloats::Vector{} + b}; \
  }
INVACT_PAIRED_COMPARISON(<, _CMP_LT_OQ)
INVACT_PAIRED_COMPARISON(<=, _CMP_LE_OQ)
INVACT_PAIRED_COMPARISON(>, _CMP_GT_OQ)
INVACT_PAIRED_COMPARISON(>=, _CMP_GE_OQ)
INVACT_PAIRED_COMPARISON(!=, _CMP_NEQ_UQ)
#undef INVACT_PAIRED_COMPARISON

INVACT_HOST_DEVICE PairedMask operator>=(PairedInts a, int32_t b) {
  const __m512i bound = _mm512_set1_epi32(b);
  return {_mm512_cmpge_epi32_mask(__builtin_bit_cast(__m512i, a.low), bound),
          _mm512_cmpge_epi32_mask(__builtin_bit_cast(__m512i, a.high), bound)};
}

INVACT_HOST_DEVICE PairedFloats choose(PairedMask mask, PairedFloats a, PairedFloats b) {
  return {_mm512_mask_blend_ps(mask.low, b.low, a.low),
          _mm512_mask_blend_ps(mask.high, b.high, a.high)};
}

/// table[index], by the index's lowest five bits.
INVACT_HOST_DEVICE PairedFloats look_up(const float* table, PairedInts index) {
  const __m512 first = _mm512_load_ps(table);
  const __m512 second = _mm512_load_ps(table + 16);
  return {_mm512_permutex2var_ps(first, __builtin_bit_cast(__m512i, index.low), second),
          _mm512_permutex2var_ps(first, __builtin_bit_cast(__m512i, index.high), second)};
}

INVACT_HOST_DEVICE PairedFloats square_root(PairedFloats v) {
  return {_mm512_sqrt_ps(v.low), _mm512_sqrt_ps(v.high)};
}
// The bound where one is NaN: the instruction's second operand.
INVACT_HOST_DEVICE PairedFloats at_least(PairedFloats v, PairedFloats bound) {
  return {_mm512_max_ps(v.low, bound.low), _mm512_max_ps(v.high, bound.high)};
}
INVACT_HOST_DEVICE PairedFloats at_most(PairedFloats v, PairedFloats bound) {
  return {_mm512_min_ps(v.low, bound.low), _mm512_min_ps(v.high, bound.high)};
}
INVACT_HOST_DEVICE PairedFloats nan_or_at_least(PairedFloats v, PairedFloats bound) {
  return at_least(bound, v);
}
INVACT_HOST_DEVICE PairedFloats nan_or_at_most(PairedFloats v, PairedFloats bound) {
  return at_most(bound, v);
}

INVACT_HOST_DEVICE PairedFloats as_real(PairedInts bits) {
  return __builtin_bit_cast(PairedFloats, bits);
}
INVACT_HOST_DEVICE PairedInts as_bits(PairedFloats v) {
  return __builtin_bit_cast(PairedInts, v);
}
INVACT_HOST_DEVICE PairedFloats to_real(PairedInts v) {
  return {__builtin_convertvector(v.low, PairedFloats::Vector),
          __builtin_convertvector(v.high, PairedFloats::Vector)};
}
INVACT_HOST_DEVICE PairedFloats fused_multiply_add(PairedFloats a, PairedFloats b, PairedFloats c) {
  return {_mm512_fmadd_ps(a.low, b.low, c.low), _mm512_fmadd_ps(a.high, b.high, c.high)};
}
/// Ties to even.
INVACT_HOST_DEVICE PairedInts to_nearest(PairedFloats v) {
  return {__builtin_bit_cast(PairedInts::Vector, _mm512_cvtps_epi32(v.low)),
          __builtin_bit_cast(PairedInts::Vector, _mm512_cvtps_epi32(v.high))};
}

}  // namespace invact::kernels::math
