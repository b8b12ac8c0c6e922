// Definitions of repeated_batch_norm_loops.h for one instruction set, under the rules of
// activation_loops.cpp.
#include "kernels/cpu/repeated_batch_norm_loops.h"

#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

// Both loops are plain: the vectoriser sees that nothing overlaps, and fuses in its main loop and
// in what is left over alike.
template <class T>
INVACT_HOST_DEVICE void by_one(const T* __restrict input, T alpha, T beta, T* __restrict output,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = input[i] * alpha + beta;
}

template <class T>
INVACT_HOST_DEVICE void by_each(const T* __restrict input, const T* __restrict alpha,
                                const T* __restrict beta, T* __restrict output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = input[i] * alpha[i] + beta[i];
}

template <class T>
void for_rows(bool is_per_row, const LinearArrays& arrays) {
  const T* const input = static_cast<const T*>(arrays.input);
  const T* const alpha = static_cast<const T*>(arrays.alpha);
  const T* const beta = static_cast<const T*>(arrays.beta);
  T* const output = static_cast<T*>(arrays.output);
  for (int64_t row = 0; row < arrays.rows; ++row) {
    const int64_t first = row * arrays.columns;
    if (is_per_row) {
      by_one(input + first, alpha[row], beta[row], output + first, arrays.columns);
    } else {
      by_each(input + first, alpha, beta, output + first, arrays.columns);
    }
  }
}

}  // namespace

namespace INVACT_LOOPS {

void linear(ElementType type, bool is_per_row, const LinearArrays& arrays) {
  if (type == ElementType::kFloat64) return for_rows<double>(is_per_row, arrays);
  if (type == ElementType::kFloat32) return for_rows<float>(is_per_row, arrays);
}

}  // namespace INVACT_LOOPS
}  // namespace invact::kernels::cpu
