// f(x) with the bits of ATen's own CPU kernels, for the functions whose kernels are known to the
// last operation: the loops then make output and branch bits in one pass over memory.
// tests/kernels/activation/forward_bits_test.cpp proves the bits, and activation.cpp compares
// before first use, since another LibTorch may compute otherwise. Included only by
// activation_loops.cpp.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/cpu/element_lanes.h"
#include "kernels/math/functions.h"
#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"
#include "kernels/math/polynomial.h"

namespace invact::kernels::cpu {
namespace {

/// Horner's scheme in fused steps, whatever the compiler's flags.
template <int kFirst = 0, int kCount>
INVACT_HOST_DEVICE Floats evaluate_fused(const math::Polynomial<float, kCount>& polynomial,
                                         Floats v) {
  const Floats coefficient =
      math::splat<Floats>(static_cast<double>(polynomial.coefficients[kFirst]));
  if constexpr (kFirst + 1 == kCount) {
    return coefficient;
  } else {
    return math::fused_multiply_add(evaluate_fused<kFirst + 1>(polynomial, v), v, coefficient);
  }
}

/// 1 + e^d as ATen's vectorized kernels compute it: e^d by SLEEF's expf of one ulp, in its order of
/// operations. Beyond the bounds the sum is 1, or infinity, for every d; NaN gives a number.
INVACT_HOST_DEVICE Floats one_plus_exponential(Floats d) {
  constexpr float kInverseLn2 = static_cast<float>(M_LOG2E);
  constexpr double kLn2High = 0.693145751953125;
  constexpr double kLn2Low = 1.428606765330187045e-06;
  constexpr double kFirst = -87.0;  // 2^-125: half an ulp of 1 is 2^-24
  constexpr double kLast = 89.0;    // beyond float32's largest number
  constexpr int32_t kExponentOfHalf = 126;
  constexpr int kMantissaBits = 23;
  constexpr math::Polynomial<float, 6> kSeries = {
      {0.5f, 0.166666671633720397949219f, 0.0416664853692054748535156f,
       0.00833336077630519866943359f, 0.00139304355252534151077271f,
       0.000198527617612853646278381f}};
  const auto constant = [](double v) { return math::splat<Floats>(v); };
  // e^d = 2^n e^r. The power is made by halves: 2^128, which no number holds, can have a finite
  // product.
  const Floats bounded = math::at_most(math::at_least(d, constant(kFirst)), constant(kLast));
  const Ints exponent = math::to_nearest(bounded * kInverseLn2);
  const Floats n = math::to_real(exponent);
  const Floats high = math::fused_multiply_add(n, constant(-kLn2High), bounded);
  const Floats r = math::fused_multiply_add(n, constant(-kLn2Low), high);
  const Floats beyond_one = math::fused_multiply_add(r * r, evaluate_fused(kSeries, r), r);
  const Floats half_power = math::as_real((exponent + kExponentOfHalf) << kMantissaBits);
  const Floats half = (beyond_one + constant(1)) * half_power;
  return (half + half) + constant(1);
}

/// `lanes` as they are after a stop in memory, where every operator of a written-out function puts
/// its result.
INVACT_HOST_DEVICE Floats stored(Floats lanes, const float*) {
  return lanes;
}
INVACT_HOST_DEVICE Floats stored(Floats lanes, const BFloat16Bits*) {
  constexpr int32_t kHighHalf = -0x10000;
  return math::as_real(bfloat16_in_high_half(lanes) & kHighHalf);
}
INVACT_HOST_DEVICE Floats stored(Floats lanes, const HalfBits*) {
  HalfBits memory[kLanes];
  store_lanes(lanes, memory);
  return load_lanes(memory);
}

template <class T>
INVACT_HOST_DEVICE Floats aten_value(const math::Hardswish& f, Floats x, const T*) {
  return f.value(x);
}
template <class T>
INVACT_HOST_DEVICE Floats aten_value(const math::Silu&, Floats x, const T*) {
  return x / one_plus_exponential(-x);
}
/// x * sigmoid(1.702 * x), three operators.
template <class T>
INVACT_HOST_DEVICE Floats aten_value(const math::QuickGelu&, Floats x, const T* dtype) {
  const Floats scaled = stored(x * static_cast<float>(math::QuickGelu::kRate), dtype);
  const Floats sigmoid = math::splat<Floats>(1) / one_plus_exponential(-scaled);
  return x * stored(sigmoid, dtype);
}

}  // namespace
}  // namespace invact::kernels::cpu
