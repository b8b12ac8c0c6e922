// Definitions of loops.h for one instruction set: INVACT_LOOPS names its namespace and the build
// gives the flags. Everything but the explicit instantiations at the end has internal linkage or is
// always inlined, so that no code built for AVX2 can stand in for a baseline function of the same
// name.
#include "kernels/cpu/loops.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/bit_flags.h"
#include "kernels/cpu/refinement.h"
#include "kernels/cpu/storage_block.h"
#include "kernels/math/functions.h"
#include "kernels/math/host_device.h"

namespace invact::kernels::cpu {
namespace {

template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class F>
INVACT_HOST_DEVICE double derivative(const F& f, double y, bool left, const double*) {
  return f.from_float64(y, left);
}
template <class F>
INVACT_HOST_DEVICE float derivative(const F& f, float y, bool left, const float*) {
  return f.from_float32(y, left);
}
template <class F>
INVACT_HOST_DEVICE float derivative(const F& f, float y, bool left, const BFloat16Bits*) {
  return f.from_bfloat16(y, left);
}
template <class F>
INVACT_HOST_DEVICE float derivative(const F& f, float y, bool left, const HalfBits*) {
  return f.from_float16(y, left);
}

template <class F, class T>
INVACT_HOST_DEVICE void pack_block(const F& f, const T* input, uint8_t* bits) {
  Compute<T> x[kBlock];
  uint8_t flags[kBlock];
  load_block<kBlock>(input, x);
  for (int i = 0; i < kBlock; ++i) flags[i] = f.is_left(x[i]) ? 1 : 0;
  for (int i = 0; i < kBlock / 8; ++i) bits[i] = gather_bits(flags + 8 * i);
}

template <class F, class T>
void pack_all(const F& f, const T* input, int64_t count, uint8_t* bits) {
  int64_t first = 0;
  for (; first + kBlock <= count; first += kBlock) pack_block(f, input + first, bits + first / 8);
  const int64_t rest = count - first;
  if (rest == 0) return;
  T tail[kBlock] = {};  // x = 0 lies on the right branch: the unused bits come out zero
  uint8_t tail_bits[kBlock / 8];
  memcpy(tail, input + first, static_cast<size_t>(rest) * sizeof(T));
  pack_block(f, tail, tail_bits);
  memcpy(bits + first / 8, tail_bits, static_cast<size_t>((rest + 7) / 8));
}

template <class F>
void refine_all(const F& f, const float* input, const float* output, int64_t count, uint8_t* bits) {
  int64_t first = 0;
  for (; first + kBlock <= count; first += kBlock) {
    write_refinements<kBlock>(f, input + first, output + first, bits + first / 8);
  }
  const size_t rest = static_cast<size_t>(count - first);
  if (rest == 0) return;
  float tail_input[kBlock] = {};
  float tail_output[kBlock] = {};  // zeros are neither near the minimum nor free places
  uint8_t tail_bits[kBlock / 8] = {};
  memcpy(tail_input, input + first, rest * sizeof(float));
  memcpy(tail_output, output + first, rest * sizeof(float));
  memcpy(tail_bits, bits + first / 8, (rest + 7) / 8);
  write_refinements<kBlock>(f, tail_input, tail_output, tail_bits);
  memcpy(bits + first / 8, tail_bits, (rest + 7) / 8);
}

template <class Flag>
INVACT_HOST_DEVICE void expand_bits(const uint8_t* bits, Flag* left) {
  for (int byte = 0; byte < kBlock / 8; ++byte) {
    for (int i = 0; i < 8; ++i) left[8 * byte + i] = static_cast<Flag>(bits[byte]) & (1 << i);
  }
}

template <class F, class T>
INVACT_HOST_DEVICE void backward_block(const F& f, const T* grad_output, const T* output,
                                       const uint8_t* bits, T* grad_input) {
  // The flag is as wide as the number it selects for: other widths cost a conversion per element.
  using Flag = std::conditional_t<std::is_same_v<T, double>, int64_t, int32_t>;
  Compute<T> g[kBlock];
  Compute<T> y[kBlock];
  Flag left[kBlock];
  load_block<kBlock>(grad_output, g);
  load_block<kBlock>(output, y);
  expand_bits(bits, left);
  if constexpr (std::is_same_v<T, float> && F::kRefines) {
    // The bit of an output above zero is a piece of somebody's refinement code.
    for (int i = 0; i < kBlock; ++i) left[i] = y[i] > 0.0f ? 0 : left[i];
  }
  for (int i = 0; i < kBlock; ++i) {
    g[i] *= derivative(f, y[i], left[i] != 0, static_cast<const T*>(nullptr));
  }
  if constexpr (std::is_same_v<T, float> && F::kRefines) {
    read_refinements<kBlock>(f, y, bits, [&](int element, int code) {
      g[element] = grad_output[element] * f.from_refined(y[element], code, left[element] != 0);
    });
  }
  store_block<kBlock>(g, grad_input);
}

template <class F, class T>
void backward_all(const F& f, const BackwardArrays& arrays) {
  const T* grad_output = static_cast<const T*>(arrays.grad_output);
  const T* output = static_cast<const T*>(arrays.output);
  T* grad_input = static_cast<T*>(arrays.grad_input);
  int64_t first = 0;
  for (; first + kBlock <= arrays.count; first += kBlock) {
    backward_block(f, grad_output + first, output + first, arrays.bits + first / 8,
                   grad_input + first);
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  T tail_grad[kBlock] = {};
  T tail_output[kBlock] = {};
  uint8_t tail_bits[kBlock / 8] = {};
  memcpy(tail_grad, grad_output + first, rest * sizeof(T));
  memcpy(tail_output, output + first, rest * sizeof(T));
  memcpy(tail_bits, arrays.bits + first / 8, (rest + 7) / 8);
  backward_block(f, tail_grad, tail_output, tail_bits, tail_grad);
  memcpy(grad_input + first, tail_grad, rest * sizeof(T));
}

}  // namespace

namespace INVACT_LOOPS {

template <class F>
void pack(const F& f, Storage storage, const void* input, int64_t count, uint8_t* bits) {
  switch (storage) {
    case Storage::kFloat64:
      return pack_all(f, static_cast<const double*>(input), count, bits);
    case Storage::kFloat32:
      return pack_all(f, static_cast<const float*>(input), count, bits);
    case Storage::kBFloat16:
      return pack_all(f, static_cast<const BFloat16Bits*>(input), count, bits);
    case Storage::kFloat16:
      return pack_all(f, static_cast<const HalfBits*>(input), count, bits);
  }
}

template <class F>
void refine(const F& f, const float* input, const float* output, int64_t count, uint8_t* bits) {
  if constexpr (F::kRefines) refine_all(f, input, output, count, bits);
}

template <class F>
void backward(const F& f, Storage storage, const BackwardArrays& arrays) {
  switch (storage) {
    case Storage::kFloat64:
      return backward_all<F, double>(f, arrays);
    case Storage::kFloat32:
      return backward_all<F, float>(f, arrays);
    case Storage::kBFloat16:
      return backward_all<F, BFloat16Bits>(f, arrays);
    case Storage::kFloat16:
      return backward_all<F, HalfBits>(f, arrays);
  }
}

#define INVACT_INSTANTIATE(F)                                                       \
  template void pack<F>(const F&, Storage, const void*, int64_t, uint8_t*);         \
  template void refine<F>(const F&, const float*, const float*, int64_t, uint8_t*); \
  template void backward<F>(const F&, Storage, const BackwardArrays&);
INVACT_FOR_EACH_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE

}  // namespace INVACT_LOOPS
}  // namespace invact::kernels::cpu
