// f'(x) from the stored output y and the branch bit by a table of polynomials (fit/table.py): one
// root, then one polynomial of low degree whose coefficients are looked up, for both branches.
// Quicker than the forms of forms.h where one instruction looks up one of 32 numbers
// for each lane (AVX-512), and only there. Part of kernels/math: no torch, no allocation.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/math/host_device.h"
#include "kernels/math/lanes.h"

namespace invact::kernels::math {

/// Numbers of a table; of an index the lowest five bits count.
constexpr int kPlaces = 32;

INVACT_HOST_DEVICE float look_up(const float* table, int32_t index) {
  return table[index & (kPlaces - 1)];
}

/// Horner's scheme, like evaluate(): the coefficients of kFirst, ... stand in tables one behind the
/// other.
template <int kFirst, int kCount, class Real>
INVACT_HOST_DEVICE Real evaluate_looked_up(const float* tables, Bits<Real> index, Real v) {
  const Real coefficient = look_up(tables + kFirst * kPlaces, index);
  if constexpr (kFirst + 1 == kCount) {
    return coefficient;
  } else {
    return evaluate_looked_up<kFirst + 1, kCount>(tables, index, v) * v + coefficient;
  }
}

/// q from s, the root of the distance to the minimum, and the place of its piece.
template <class Real>
struct TableArgument {
  Real q;
  Bits<Real> index;
};
template <class Table, class Real>
INVACT_HOST_DEVICE TableArgument<Real> table_argument(Real s, Mask<Real> left) {
  constexpr int kMantissaBits = 23;
  constexpr float kToInteger = 0x1.8p23f;  // a sum with it has the integer in its lowest bits
  const Real shifted = choose(left, Table::kShift - s, Table::kShift + s);
  const Real q = nan_or_at_most(nan_or_at_least(shifted, splat<Real>(Table::kFirst)),
                                splat<Real>(Table::kLast));
  return {q, (as_bits(q) >> kMantissaBits) + as_bits(q * Table::kRate + kToInteger)};
}

template <class Table>
constexpr int kTables = std::extent_v<decltype(Table::kCoefficients)> / kPlaces;

// What forms.h says of NaN, infinities and unreachable y holds here too.

/// float32. On the left branch an output above -3e-8 gives zero.
template <class C, class Table, class Real>
INVACT_HOST_DEVICE Real table_form(Real y, Mask<Real> left) {
  const Real distance =
      nan_or_at_least((y - C::kMinimumYHigh) - C::kMinimumYLow, splat<Real>(C::kDistanceFloor));
  const auto [q, index] = table_argument<Table>(square_root(distance), left);
  const Real from_centre = q - look_up(Table::kCentres, index);
  return evaluate_looked_up<0, kTables<Table>>(Table::kCoefficients, index, from_centre);
}

/// 16 bit.
template <class Table, class Real>
INVACT_HOST_DEVICE Real short_table_form(Real y, Mask<Real> left) {
  const Real distance = nan_or_at_least(y - Table::kOrigin, splat<Real>(Table::kDistanceFloor));
  const auto [q, index] = table_argument<Table>(square_root(distance), left);
  return evaluate_looked_up<0, kTables<Table>>(Table::kCoefficients, index, q);
}

}  // namespace invact::kernels::math
