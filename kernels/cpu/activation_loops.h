// The CPU loops over flat memory: packing branch bits, and the gradient from output and bits. No
// torch: the unit behind this header is compiled three times, for the baseline, for AVX2 + FMA +
// F16C + BMI2 and for AVX-512 besides, and torch's inline functions must not be.
#pragma once

#include <cstdint>

#include "kernels/cpu/instruction_set.h"
#include "kernels/element_type.h"

namespace invact::kernels::cpu {

/// Loops begin at multiples of it, counted from the tensor's first element: one word of bits,
/// within which refinement codes stay (refinement.h).
constexpr int kBlock = 64;

struct ForwardArrays {
  const void* input;
  const void* output;
  /// ceil(count / 8) bytes; element i is bit i % 8 of byte i / 8; unused bits of the last byte are
  /// zero. For float32 the places of outputs above zero may hold refinement codes (refinement.h).
  uint8_t* bits;
  int64_t count;
};

struct OwnForwardArrays {
  const void* input;
  void* output;
  uint8_t* bits;  ///< As ForwardArrays::bits.
  int64_t count;
};

/// Of a function of which ATen's bits are known (functions.h). @return whether the outputs have
/// them: not where one is NaN, whose payload may be another, and not for a dtype whose bits are not
/// known.
template <class Function>
using ForwardLoop = bool (*)(const Function&, ElementType, const OwnForwardArrays&);

/// Of a function with a branch bit.
template <class Function>
using PackLoop = void (*)(const Function&, ElementType, const ForwardArrays&);

struct BackwardArrays {
  const void* grad_output;
  const void* output;
  const uint8_t* bits;  ///< Not read for a function without a branch bit.
  void* grad_input;
  int64_t count;
};

template <class Function>
using BackwardLoop = void (*)(const Function&, ElementType, const BackwardArrays&);

namespace baseline {
template <class Function>
bool forward(const Function& f, ElementType type, const OwnForwardArrays& arrays);
template <class Function>
void pack(const Function& f, ElementType type, const ForwardArrays& arrays);
template <class Function>
void backward(const Function& f, ElementType type, const BackwardArrays& arrays);
}  // namespace baseline

namespace avx2 {
template <class Function>
bool forward(const Function& f, ElementType type, const OwnForwardArrays& arrays);
template <class Function>
void pack(const Function& f, ElementType type, const ForwardArrays& arrays);
template <class Function>
void backward(const Function& f, ElementType type, const BackwardArrays& arrays);
}  // namespace avx2

namespace avx512 {
template <class Function>
bool forward(const Function& f, ElementType type, const OwnForwardArrays& arrays);
template <class Function>
void pack(const Function& f, ElementType type, const ForwardArrays& arrays);
template <class Function>
void backward(const Function& f, ElementType type, const BackwardArrays& arrays);
}  // namespace avx512

template <class Function>
ForwardLoop<Function> forward_loop() {
  return chosen_loop(&baseline::forward<Function>, &avx2::forward<Function>,
                     &avx512::forward<Function>);
}
template <class Function>
PackLoop<Function> pack_loop() {
  return chosen_loop(&baseline::pack<Function>, &avx2::pack<Function>, &avx512::pack<Function>);
}
template <class Function>
BackwardLoop<Function> backward_loop() {
  return chosen_loop(&baseline::backward<Function>, &avx2::backward<Function>,
                     &avx512::backward<Function>);
}

}  // namespace invact::kernels::cpu
