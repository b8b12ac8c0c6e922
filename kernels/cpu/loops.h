// The CPU loops over flat memory: packing branch bits, and backward from output and bits. No torch:
// the unit behind this header is compiled twice, for the baseline and for AVX2 + FMA + F16C, and
// torch's inline functions must not be.
#pragma once

#include <cstdint>

namespace invact::kernels::cpu {

enum class Storage { kFloat64, kFloat32, kBFloat16, kFloat16 };

/// Elements of one pass: small enough for the buffers to stay in the first-level cache. Threads
/// split at multiples of it, counted from the tensor's first element: refinement bits stay within
/// their block (refinement.h).
constexpr int kBlock = 256;

/// bits: ceil(count / 8) bytes; element i is bit i % 8 of byte i / 8; unused bits of the last byte
/// are zero.
template <class Function>
using PackLoop = void (*)(const Function&, Storage, const void* input, int64_t count,
                          uint8_t* bits);

/// Adds refinement codes to the bits that PackLoop wrote, for float32 elements near the minimum
/// (refinement.h). For a function without refinement it does nothing.
template <class Function>
using RefineLoop = void (*)(const Function&, const float* input, const float* output, int64_t count,
                            uint8_t* bits);

struct BackwardArrays {
  const void* grad_output;
  const void* output;
  const uint8_t* bits;
  void* grad_input;
  int64_t count;
};

template <class Function>
using BackwardLoop = void (*)(const Function&, Storage, const BackwardArrays&);

namespace baseline {
template <class Function>
void pack(const Function& f, Storage storage, const void* input, int64_t count, uint8_t* bits);
template <class Function>
void refine(const Function& f, const float* input, const float* output, int64_t count,
            uint8_t* bits);
template <class Function>
void backward(const Function& f, Storage storage, const BackwardArrays& arrays);
}  // namespace baseline

namespace avx2 {
template <class Function>
void pack(const Function& f, Storage storage, const void* input, int64_t count, uint8_t* bits);
template <class Function>
void refine(const Function& f, const float* input, const float* output, int64_t count,
            uint8_t* bits);
template <class Function>
void backward(const Function& f, Storage storage, const BackwardArrays& arrays);
}  // namespace avx2

/// Whether this processor runs the loops in `avx2`.
inline bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

}  // namespace invact::kernels::cpu
