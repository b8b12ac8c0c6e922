// Definitions of norm_loops.h for one instruction set, under the rules of activation_loops.cpp:
// internal linkage or always inlined, but for the entries at the end.
#include "kernels/cpu/norm_loops.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/element_lanes.h"
#include "kernels/math/host_device.h"
#include "kernels/math/norm_recovery.h"

namespace invact::kernels::cpu {
namespace {

using Doubles = double __attribute__((vector_size(sizeof(Floats))));

/// The type that an element type's rows are computed in, and several of it side by side.
template <class T>
struct Arithmetic {
  using Real = float;
  using Lanes = Floats;
};
template <>
struct Arithmetic<double> {
  using Real = double;
  using Lanes = Doubles;
};
template <class T>
using Real = typename Arithmetic<T>::Real;
template <class T>
using Lanes = typename Arithmetic<T>::Lanes;
template <class T>
constexpr int kLanesOf = sizeof(Lanes<T>) / sizeof(Real<T>);
/// Columns of one turn of a loop: two sets of lanes, so that a sum's latency is shared by two.
template <class T>
constexpr int kStep = 2 * kLanesOf<T>;
static_assert(kNormPadding % kStep<float> == 0 && kNormPadding % kStep<double> == 0);

INVACT_HOST_DEVICE Doubles load_lanes(const double* from) {
  Doubles lanes;
  memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}
INVACT_HOST_DEVICE void store_lanes(Doubles lanes, double* to) {
  memcpy(to, &lanes, sizeof(lanes));
}

template <class Vector>
INVACT_HOST_DEVICE auto sum_of(Vector lanes) {
  auto sum = lanes[0];
  for (size_t i = 1; i < sizeof(lanes) / sizeof(sum); ++i) sum += lanes[i];
  return sum;
}

/// A step's elements of a row: in place, or, behind the last whole step, copied and padded with
/// zeros.
template <class T>
struct Padded {
  T element[kStep<T>] = {};
  Padded(const T* from, int64_t count) { memcpy(element, from, count * sizeof(T)); }
};

/// What one norm's rows share.
template <class T>
struct Columns {
  const Real<T>* weight;
  const Real<T>* inverse_weight;
  const Real<T>* bias;
  Real<T>* weight_sums;
  Real<T>* bias_sums;
  int64_t count;
};

/// Sums over a row: of g w and of g w x_hat, g the row's grad_output.
template <class T>
struct RowSums {
  Lanes<T> gradient[2] = {};
  Lanes<T> product[2] = {};
};

/// y - b, which is w x_hat.
template <bool kCentered, bool kAffine, class T>
INVACT_HOST_DEVICE Lanes<T> without_bias(const Columns<T>& columns, Lanes<T> y, int64_t column) {
  if constexpr (kCentered && kAffine) return y - load_lanes(columns.bias + column);
  return y;
}

/// One step: adds to the row's sums, and to the columns' where they are wanted.
template <bool kCentered, bool kAffine, bool kSums, class T>
INVACT_HOST_DEVICE void add_step(const Columns<T>& columns, const T* g_row, const T* y_row,
                                 int64_t column, RowSums<T>& sums) {
  for (int half = 0; half < 2; ++half) {
    const int64_t lane = half * kLanesOf<T>;
    const int64_t j = column + lane;
    const Lanes<T> g = load_lanes(g_row + lane);
    const Lanes<T> product =
        g * without_bias<kCentered, kAffine, T>(columns, load_lanes(y_row + lane), j);
    sums.product[half] += product;
    if constexpr (kCentered) {
      sums.gradient[half] += kAffine ? g * load_lanes(columns.weight + j) : g;
    }
    if constexpr (kSums) {
      store_lanes(load_lanes(columns.weight_sums + j) + product, columns.weight_sums + j);
      if constexpr (kCentered) {
        store_lanes(load_lanes(columns.bias_sums + j) + g, columns.bias_sums + j);
      }
    }
  }
}

/// rstd (g w - mean(g w) - x_hat mean(g w x_hat)) for one set of lanes.
template <bool kCentered, bool kAffine, class T>
INVACT_HOST_DEVICE Lanes<T> input_gradient(const Columns<T>& columns, Lanes<T> g, Lanes<T> y,
                                           int64_t column, Real<T> rstd, Real<T> mean_gradient,
                                           Real<T> mean_product) {
  Lanes<T> x_hat = without_bias<kCentered, kAffine, T>(columns, y, column);
  Lanes<T> weighted = g;
  if constexpr (kAffine) {
    x_hat *= load_lanes(columns.inverse_weight + column);
    weighted *= load_lanes(columns.weight + column);
  }
  if constexpr (kCentered) weighted -= mean_gradient;
  return rstd * (weighted - x_hat * mean_product);
}

INVACT_HOST_DEVICE void store_pair(Doubles first, Doubles second, double* to) {
  store_lanes(first, to);
  store_lanes(second, to + kLanesOf<double>);
}

template <bool kCentered, bool kAffine, bool kSums, class T>
INVACT_HOST_DEVICE void differentiate_row(const Columns<T>& columns, const T* g, const T* y,
                                          Real<T> rstd, T* grad_input) {
  const int64_t whole = columns.count / kStep<T> * kStep<T>;
  const int64_t rest = columns.count - whole;
  const Padded<T> last_g(g + whole, rest);
  const Padded<T> last_y(y + whole, rest);
  RowSums<T> sums;
  for (int64_t j = 0; j < whole; j += kStep<T>) {
    add_step<kCentered, kAffine, kSums>(columns, g + j, y + j, j, sums);
  }
  if (rest > 0) {
    add_step<kCentered, kAffine, kSums>(columns, last_g.element, last_y.element, whole, sums);
  }
  if (grad_input == nullptr) return;
  const Real<T> scale = Real<T>(1) / static_cast<Real<T>>(columns.count);
  const Real<T> mean_gradient = scale * sum_of(sums.gradient[0] + sums.gradient[1]);
  const Real<T> mean_product = scale * sum_of(sums.product[0] + sums.product[1]);
  const auto write = [&](const T* g_step, const T* y_step, int64_t j, T* to) {
    const auto lanes_at = [&](int lane) {
      return input_gradient<kCentered, kAffine, T>(columns, load_lanes(g_step + lane),
                                                   load_lanes(y_step + lane), j + lane, rstd,
                                                   mean_gradient, mean_product);
    };
    store_pair(lanes_at(0), lanes_at(kLanesOf<T>), to);
  };
  for (int64_t j = 0; j < whole; j += kStep<T>) write(g + j, y + j, j, grad_input + j);
  if (rest > 0) {
    T last[kStep<T>];
    write(last_g.element, last_y.element, whole, last);
    memcpy(grad_input + whole, last, rest * sizeof(T));
  }
}

template <bool kCentered, bool kAffine, bool kSums, class T>
void differentiate_rows(const NormGradientArrays& arrays) {
  const Columns<T> columns{static_cast<const Real<T>*>(arrays.weight),
                           static_cast<const Real<T>*>(arrays.inverse_weight),
                           static_cast<const Real<T>*>(arrays.bias),
                           static_cast<Real<T>*>(arrays.weight_sums),
                           static_cast<Real<T>*>(arrays.bias_sums),
                           arrays.columns};
  if constexpr (kSums) {
    const size_t bytes = padded(arrays.columns) * sizeof(Real<T>);
    memset(columns.weight_sums, 0, bytes);
    if constexpr (kCentered) memset(columns.bias_sums, 0, bytes);
  }
  const T* const grad_output = static_cast<const T*>(arrays.grad_output);
  const T* const output = static_cast<const T*>(arrays.output);
  const Real<T>* const rstd = static_cast<const Real<T>*>(arrays.rstd);
  T* const grad_input = static_cast<T*>(arrays.grad_input);
  for (int64_t row = 0; row < arrays.rows; ++row) {
    const int64_t first = row * arrays.columns;
    differentiate_row<kCentered, kAffine, kSums>(
        columns, grad_output + first, output + first, rstd[row],
        grad_input == nullptr ? nullptr : grad_input + first);
  }
}

template <bool kCentered, class T>
void choose_variant(const NormGradientArrays& arrays) {
  if (arrays.weight == nullptr) return differentiate_rows<kCentered, false, false, T>(arrays);
  if (arrays.weight_sums == nullptr) return differentiate_rows<kCentered, true, false, T>(arrays);
  differentiate_rows<kCentered, true, true, T>(arrays);
}

template <class T>
void choose_centering(bool is_centered, const NormGradientArrays& arrays) {
  is_centered ? choose_variant<true, T>(arrays) : choose_variant<false, T>(arrays);
}

template <class T>
void read_all(const void* numbers, void* compute, int64_t count) {
  const T* const from = static_cast<const T*>(numbers);
  Real<T>* const to = static_cast<Real<T>*>(compute);
  const int64_t whole = count / kLanesOf<T> * kLanesOf<T>;
  for (int64_t i = 0; i < whole; i += kLanesOf<T>) store_lanes(load_lanes(from + i), to + i);
  if (whole == count) return;
  const Padded<T> rest(from + whole, count - whole);
  const Lanes<T> last = load_lanes(rest.element);
  memcpy(to + whole, &last, (count - whole) * sizeof(Real<T>));
}

template <class T>
void write_all(const void* compute, void* numbers, int64_t count) {
  const Real<T>* const from = static_cast<const Real<T>*>(compute);
  T* const to = static_cast<T*>(numbers);
  const int64_t whole = count / kStep<T> * kStep<T>;
  for (int64_t i = 0; i < whole; i += kStep<T>) {
    store_pair(load_lanes(from + i), load_lanes(from + i + kLanesOf<T>), to + i);
  }
  if (whole == count) return;
  const Padded<Real<T>> rest(from + whole, count - whole);
  T last[kStep<T>];
  store_pair(load_lanes(rest.element), load_lanes(rest.element + kLanesOf<T>), last);
  memcpy(to + whole, last, (count - whole) * sizeof(T));
}

/// Lanes of a parameter behind `column`, padded with `absent`, which is also what a missing one is.
template <class T>
INVACT_HOST_DEVICE Lanes<T> parameter_at(const T* values, int64_t column, int64_t columns,
                                         Real<T> absent) {
  const Lanes<T> all_absent = absent - Lanes<T>{};
  if (values == nullptr) return all_absent;
  if (column + kLanesOf<T> <= columns) return load_lanes(values + column);
  T rest[kLanesOf<T>] = {};
  const int64_t count = columns - column;
  memcpy(rest, values + column, count * sizeof(T));
  Lanes<T> lanes = load_lanes(rest);
  for (int64_t i = count; i < kLanesOf<T>; ++i) lanes[i] = absent;
  return lanes;
}

template <class T>
bool all_recoverable(const math::RecoveryLimits<Real<T>>& limits,
                     const ParameterArrays& parameters) {
  const T* const weight = static_cast<const T*>(parameters.weight);
  const T* const bias = static_cast<const T*>(parameters.bias);
  const Real<T> inverse_largest_x_hat = 1 / std::sqrt(static_cast<Real<T>>(parameters.columns));
  const Real<T> offset = static_cast<Real<T>>(parameters.weight_offset);
  // A column that is not there is one with weight 1.
  const Real<T> absent = 1 - offset;
  auto all = Lanes<T>{} == Lanes<T>{};
  for (int64_t j = 0; j < parameters.columns; j += kLanesOf<T>) {
    const Lanes<T> w = parameter_at(weight, j, parameters.columns, absent) + offset;
    const Lanes<T> b = parameter_at(bias, j, parameters.columns, Real<T>(0));
    all &= math::is_recoverable(w, b, inverse_largest_x_hat, limits);
  }
  for (int i = 0; i < kLanesOf<T>; ++i) {
    if (all[i] == 0) return false;
  }
  return true;
}

}  // namespace

namespace INVACT_LOOPS {

void norm_gradient(ElementType type, bool is_centered, const NormGradientArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return choose_centering<double>(is_centered, arrays);
    case ElementType::kFloat32:
      return choose_centering<float>(is_centered, arrays);
    case ElementType::kBFloat16:
      return choose_centering<BFloat16Bits>(is_centered, arrays);
    case ElementType::kFloat16:
      return choose_centering<HalfBits>(is_centered, arrays);
  }
}

void read_numbers(ElementType from, const void* numbers, void* compute, int64_t count) {
  switch (from) {
    case ElementType::kFloat64:
      return read_all<double>(numbers, compute, count);
    case ElementType::kFloat32:
      return read_all<float>(numbers, compute, count);
    case ElementType::kBFloat16:
      return read_all<BFloat16Bits>(numbers, compute, count);
    case ElementType::kFloat16:
      return read_all<HalfBits>(numbers, compute, count);
  }
}

void write_numbers(ElementType to, const void* compute, void* numbers, int64_t count) {
  switch (to) {
    case ElementType::kFloat64:
      return write_all<double>(compute, numbers, count);
    case ElementType::kFloat32:
      return write_all<float>(compute, numbers, count);
    case ElementType::kBFloat16:
      return write_all<BFloat16Bits>(compute, numbers, count);
    case ElementType::kFloat16:
      return write_all<HalfBits>(compute, numbers, count);
  }
}

bool is_recoverable(ElementType output, const ParameterArrays& parameters) {
  if (output == ElementType::kFloat64) {
    return all_recoverable<double>(math::kFloat64Recovery, parameters);
  }
  const math::RecoveryLimits<float>& limits =
      output == ElementType::kFloat32    ? math::kFloat32Recovery
      : output == ElementType::kBFloat16 ? math::kBFloat16Recovery
                                         : math::kFloat16Recovery;
  switch (parameters.type) {
    case ElementType::kFloat32:
      return all_recoverable<float>(limits, parameters);
    case ElementType::kBFloat16:
      return all_recoverable<BFloat16Bits>(limits, parameters);
    case ElementType::kFloat16:
      return all_recoverable<HalfBits>(limits, parameters);
    case ElementType::kFloat64:
      break;
  }
  return false;  // not in a type that `output` computes in
}

}  // namespace INVACT_LOOPS
}  // namespace invact::kernels::cpu
