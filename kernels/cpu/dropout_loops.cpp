// Definitions of dropout_loops.h for one instruction set, under the rules of
// activation_loops.cpp.
#include "kernels/cpu/dropout_loops.h"

#include <cstring>

#include "kernels/cpu/bit_words.h"
#include "kernels/cpu/element_lanes.h"
#include "kernels/math/bit_bytes.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

INVACT_HOST_DEVICE uint64_t gather_byte(const uint8_t* drawn) {
  uint64_t eight;
  memcpy(&eight, drawn, sizeof(eight));
  return math::bits_of_bytes(eight);
}

INVACT_HOST_DEVICE uint64_t gather_word(const uint8_t* drawn) {
  uint64_t word = 0;
  for (int i = 0; i < kWord; i += 8) word |= gather_byte(drawn + i) << i;
  return word;
}

// As ATen: what is dropped is multiplied by zero, which keeps signs, infinities and NaN apart.
INVACT_HOST_DEVICE void keep_word(const double* input, uint64_t bits, double scale,
                                  double* output) {
  for (int i = 0; i < kWord; ++i) output[i] = input[i] * ((bits >> i & 1) != 0 ? scale : 0.0);
}
template <class T>
INVACT_HOST_DEVICE void keep_word(const T* input, uint64_t bits, double scale, T* output) {
  const Floats kept = math::splat<Floats>(scale);
  const auto product = [&](int i) {
    return load_lanes(input + i) * math::choose(mask_for<T>(bits >> i), kept, Floats{});
  };
  for (int i = 0; i < kWord; i += 2 * kLanes) {
    store_pair(product(i), product(i + kLanes), output + i);
  }
}

/// The last elements, fewer than a word.
template <class T>
INVACT_HOST_DEVICE void keep_rest(const T* input, uint64_t bits, double scale, T* output,
                                  size_t count) {
  T padded[kWord] = {};
  T result[kWord];
  memcpy(padded, input, count * sizeof(T));
  keep_word(padded, bits, scale, result);
  memcpy(output, result, count * sizeof(T));
}

template <class T>
void drop_all(const DropArrays& arrays) {
  const T* const input = static_cast<const T*>(arrays.input);
  T* const output = static_cast<T*>(arrays.output);
  int64_t first = 0;
  for (; first + kWord <= arrays.count; first += kWord) {
    const uint64_t bits = gather_word(arrays.drawn + first);
    store_word(bits, arrays.bits + first / 8);
    if (output != nullptr) keep_word(input + first, bits, arrays.scale, output + first);
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  uint8_t last_drawn[kWord] = {};
  memcpy(last_drawn, arrays.drawn + first, rest);
  const uint64_t bits = gather_word(last_drawn);
  memcpy(arrays.bits + first / 8, &bits, (rest + 7) / 8);
  if (output != nullptr) keep_rest(input + first, bits, arrays.scale, output + first, rest);
}

template <class T>
void keep_all(const KeepArrays& arrays) {
  const T* const input = static_cast<const T*>(arrays.input);
  T* const output = static_cast<T*>(arrays.output);
  int64_t first = 0;
  for (; first + kWord <= arrays.count; first += kWord) {
    keep_word(input + first, load_word(arrays.bits + first / 8), arrays.scale, output + first);
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  uint64_t bits = 0;
  memcpy(&bits, arrays.bits + first / 8, (rest + 7) / 8);
  keep_rest(input + first, bits, arrays.scale, output + first, rest);
}

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

void drop(ElementType type, const DropArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return drop_all<double>(arrays);
    case ElementType::kFloat32:
      return drop_all<float>(arrays);
    case ElementType::kBFloat16:
      return drop_all<BFloat16Bits>(arrays);
    case ElementType::kFloat16:
      return drop_all<HalfBits>(arrays);
  }
}

void keep(ElementType type, const KeepArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return keep_all<double>(arrays);
    case ElementType::kFloat32:
      return keep_all<float>(arrays);
    case ElementType::kBFloat16:
      return keep_all<BFloat16Bits>(arrays);
    case ElementType::kFloat16:
      return keep_all<HalfBits>(arrays);
  }
}

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
