// The numbers that the forms compute with: one float or double, or on the host several floats side
// by side, as wide as the instruction set of the unit that includes this. One text of a form serves
// all of them: operators, comparisons and choose(). Written with explicit lanes because the
// vectoriser, given selections, makes branches of them first. Part of kernels/math: no torch, no
// allocation.
#pragma once

#include <math.h>

#include <cstdint>
#if !defined(__CUDACC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

#include "kernels/math/host_device.h"
#if !defined(__CUDACC__) && defined(__AVX512F__)
#include "kernels/math/paired_lanes.h"
#endif

namespace invact::kernels::math {

#if !defined(__CUDACC__)
#if defined(__AVX512F__)
constexpr int kLanes = 32;
using Floats = PairedFloats;
using Ints = PairedInts;
using LaneMask = PairedMask;
#else
#if defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
// The compiler's vector types: arithmetic and comparisons work lane by lane.
using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
using LaneMask = Ints;  ///< -1 where it holds, 0 elsewhere.
#endif
#endif

template <class Real>
struct LaneTypes {
  using Mask = bool;
  using Bits = int32_t;
};
#if !defined(__CUDACC__)
template <>
struct LaneTypes<Floats> {
  using Mask = LaneMask;
  using Bits = Ints;
};
#endif

/// What a comparison of two Reals gives, and what choose() takes.
template <class Real>
using Mask = typename LaneTypes<Real>::Mask;
template <class Real>
using Bits = typename LaneTypes<Real>::Bits;

/// The same number in every lane.
template <class Real>
INVACT_HOST_DEVICE constexpr Real splat(double v) {
  if constexpr (sizeof(Real) <= sizeof(double)) {
    return static_cast<Real>(v);
  } else {
    const float n = static_cast<float>(v);
#if !defined(__CUDACC__) && defined(__AVX512F__)
    constexpr PairedFloats::Vector kZeros = {};
    return Real{kZeros + n, kZeros + n};
#elif !defined(__CUDACC__) && defined(__AVX2__)
    return Real{n, n, n, n, n, n, n, n};
#else
    return Real{n, n, n, n};
#endif
  }
}

/// a where the mask holds, else b.
INVACT_HOST_DEVICE constexpr float choose(bool mask, float a, float b) {
  return mask ? a : b;
}
INVACT_HOST_DEVICE constexpr double choose(bool mask, double a, double b) {
  return mask ? a : b;
}
#if !defined(__CUDACC__) && !defined(__AVX512F__)
INVACT_HOST_DEVICE Floats choose(LaneMask mask, Floats a, Floats b) {
  return mask ? a : b;
}
#endif

template <class Real>
INVACT_HOST_DEVICE Mask<Real> is_nan(Real v) {
  return v != v;  // NOLINT(misc-redundant-expression): lane by lane, and so not isnan()
}

// A comparison with NaN chooses the bound; each form returns the NaN at its end.
template <class Real>
INVACT_HOST_DEVICE Real at_least(Real v, Real bound) {
  return choose(v > bound, v, bound);
}
template <class Real>
INVACT_HOST_DEVICE Real at_most(Real v, Real bound) {
  return choose(v < bound, v, bound);
}

// The same of NaN gives NaN.
template <class Real>
INVACT_HOST_DEVICE Real nan_or_at_least(Real v, Real bound) {
  return choose(v < bound, bound, v);
}
template <class Real>
INVACT_HOST_DEVICE Real nan_or_at_most(Real v, Real bound) {
  return choose(v > bound, bound, v);
}

#if !defined(__CUDACC__) && defined(__SSE2__)
// For one float too without a branch, which no predictor could tell.
INVACT_HOST_DEVICE float at_least(float v, float bound) {
  return _mm_cvtss_f32(_mm_max_ss(_mm_set_ss(v), _mm_set_ss(bound)));
}
INVACT_HOST_DEVICE float at_most(float v, float bound) {
  return _mm_cvtss_f32(_mm_min_ss(_mm_set_ss(v), _mm_set_ss(bound)));
}
#endif

INVACT_HOST_DEVICE float square_root(float v) {
  return sqrtf(v);
}
INVACT_HOST_DEVICE double square_root(double v) {
  return sqrt(v);
}

INVACT_HOST_DEVICE float as_real(int32_t bits) {
  return __builtin_bit_cast(float, bits);
}
INVACT_HOST_DEVICE int32_t as_bits(float v) {
  return __builtin_bit_cast(int32_t, v);
}
INVACT_HOST_DEVICE float to_real(int32_t v) {
  return static_cast<float>(v);
}

#if !defined(__CUDACC__) && !defined(__AVX512F__)
INVACT_HOST_DEVICE Floats as_real(Ints bits) {
  return __builtin_bit_cast(Floats, bits);
}
INVACT_HOST_DEVICE Ints as_bits(Floats v) {
  return __builtin_bit_cast(Ints, v);
}
INVACT_HOST_DEVICE Floats to_real(Ints v) {
  return __builtin_convertvector(v, Floats);
}

// Rounded once, on every instruction set.
INVACT_HOST_DEVICE Floats fused_multiply_add(Floats a, Floats b, Floats c) {
#if defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  for (int i = 0; i < kLanes; ++i) a[i] = fmaf(a[i], b[i], c[i]);
  return a;
#endif
}
/// Ties to even.
INVACT_HOST_DEVICE Ints to_nearest(Floats v) {
#if defined(__AVX2__)
  return __builtin_bit_cast(Ints, _mm256_cvtps_epi32(v));
#elif defined(__SSE2__)
  return __builtin_bit_cast(Ints, _mm_cvtps_epi32(v));
#else
  Ints n;
  for (int i = 0; i < kLanes; ++i) n[i] = static_cast<int32_t>(nearbyintf(v[i]));
  return n;
#endif
}

#if defined(__AVX2__)
INVACT_HOST_DEVICE Floats square_root(Floats v) {
  return _mm256_sqrt_ps(v);
}
INVACT_HOST_DEVICE Floats at_least(Floats v, Floats bound) {
  return _mm256_max_ps(v, bound);  // the second operand where one is NaN, as above
}
INVACT_HOST_DEVICE Floats at_most(Floats v, Floats bound) {
  return _mm256_min_ps(v, bound);
}
INVACT_HOST_DEVICE Floats nan_or_at_least(Floats v, Floats bound) {
  return _mm256_max_ps(bound, v);
}
INVACT_HOST_DEVICE Floats nan_or_at_most(Floats v, Floats bound) {
  return _mm256_min_ps(bound, v);
}
#elif defined(__SSE2__)
INVACT_HOST_DEVICE Floats square_root(Floats v) {
  return _mm_sqrt_ps(v);
}
#else
INVACT_HOST_DEVICE Floats square_root(Floats v) {
  for (int i = 0; i < kLanes; ++i) v[i] = sqrtf(v[i]);
  return v;
}
#endif
#endif

}  // namespace invact::kernels::math
