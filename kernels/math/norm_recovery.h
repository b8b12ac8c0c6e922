// When a norm's output determines its normalized input: x_hat = (y - b) / w, and y is stored
// rounded. The rounding of y moves x_hat by about rounding * max(|x_hat w|, |b|) / |w|; where that
// passes a limit for any column, or y could overflow, the norm saves its input instead. Part of
// kernels/math: no torch, no allocation.
#pragma once

#include "kernels/math/host_device.h"

namespace invact::kernels::math {

/// Of one element type, in the type that the loops compute in.
template <class Real>
struct RecoveryLimits {
  Real rounding;   ///< Half the distance of neighbouring numbers, relative.
  Real underflow;  ///< The smallest subnormal: the distance of numbers that rounding cannot tell
                   ///< apart.
  Real largest;    ///< Finite.
  Real limit;      ///< Largest accepted error of x_hat, for |x_hat| = 1.
};

// The limits allow for a max(|b| / |w|, 1) of 64 in float64 and float32, of 8 in float16 and of 4
// in bfloat16: what tests/kernels/norm/norm_precision_test.cpp finds harmless for gradients.
constexpr RecoveryLimits<double> kFloat64Recovery{0x1p-53, 0x1p-1074, 0x1.fffffffffffffp1023,
                                                  0x1p-47};
constexpr RecoveryLimits<float> kFloat32Recovery{0x1p-24f, 0x1p-149f, 0x1.fffffep127f, 0x1p-18f};
constexpr RecoveryLimits<float> kBFloat16Recovery{0x1p-8f, 0x1p-133f, 0x1.fep127f, 0x1p-6f};
constexpr RecoveryLimits<float> kFloat16Recovery{0x1p-11f, 0x1p-24f, 65504.0f, 0x1p-8f};

/// Whether a column of this weight and bias determines x_hat; `Number` is Real or lanes of it.
/// |x_hat| is at most the root of the number of columns. False for NaN and infinity.
template <class Number, class Real>
INVACT_HOST_DEVICE auto is_recoverable(Number weight, Number bias, Real inverse_largest_x_hat,
                                       const RecoveryLimits<Real>& limits) {
  const Number w = weight < 0 ? -weight : weight;
  const Number b = bias < 0 ? -bias : bias;
  const Number larger = b > w ? b : w;
  const auto is_exact_enough = limits.rounding * larger + limits.underflow <= limits.limit * w;
  // The bound scaled down, and not w up, so that it cannot overflow.
  const auto is_finite = w <= (limits.largest - b) * inverse_largest_x_hat;
  return is_exact_enough & is_finite;
}

}  // namespace invact::kernels::math
