// Definitions of recovery_loops.h for one instruction set, under the rules of loops.cpp.
#include "kernels/cpu/norm_recovery_loops.h"

#include <cstring>

#include "kernels/cpu/bit_words.h"
#include "kernels/cpu/element_lanes.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

INVACT_HOST_DEVICE void recover_word(const double* dropped, uint64_t kept, double divisor,
                                     double* output) {
  for (int i = 0; i < kWord; ++i) output[i] = (kept >> i & 1) != 0 ? dropped[i] / divisor : 0.0;
}
template <class T>
INVACT_HOST_DEVICE void recover_word(const T* dropped, uint64_t kept, double divisor, T* output) {
  const Floats by = math::splat<Floats>(divisor);
  const auto quotient = [&](int i) {
    const Floats recovered = load_lanes(dropped + i) / by;
    return math::choose(mask_for<T>(kept >> i), recovered, Floats{});
  };
  for (int i = 0; i < kWord; i += 2 * kLanes) {
    store_pair(quotient(i), quotient(i + kLanes), output + i);
  }
}

template <class T>
void recover_all(const RecoverArrays& arrays) {
  const T* const dropped = static_cast<const T*>(arrays.dropped);
  T* const output = static_cast<T*>(arrays.output);
  int64_t first = 0;
  for (; first + kWord <= arrays.count; first += kWord) {
    recover_word(dropped + first, load_word(arrays.kept + first / 8), arrays.divisor,
                 output + first);
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  T padded[kWord] = {};
  T result[kWord];
  uint64_t kept = 0;
  memcpy(padded, dropped + first, rest * sizeof(T));
  memcpy(&kept, arrays.kept + first / 8, (rest + 7) / 8);
  recover_word(padded, kept, arrays.divisor, result);
  memcpy(output + first, result, rest * sizeof(T));
}

}  // namespace

namespace INVACT_LOOPS {

void recover(ElementType type, const RecoverArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return recover_all<double>(arrays);
    case ElementType::kFloat32:
      return recover_all<float>(arrays);
    case ElementType::kBFloat16:
      return recover_all<BFloat16Bits>(arrays);
    case ElementType::kFloat16:
      return recover_all<HalfBits>(arrays);
  }
}

}  // namespace INVACT_LOOPS
}  // namespace invact::kernels::cpu
