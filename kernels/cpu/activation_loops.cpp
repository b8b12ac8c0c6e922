// Definitions of activation_loops.h for one instruction set: INVACT_LOOPS names its namespace and
// the build gives the flags. Everything but the explicit instantiations at the end has internal
// linkage or is always inlined, so that no code built for AVX2 or AVX-512 can stand in for a
// baseline function of the same name.
#include "kernels/cpu/activation_loops.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/aten_value.h"
#include "kernels/cpu/bit_words.h"
#include "kernels/cpu/element_lanes.h"
#include "kernels/cpu/refinement.h"
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
INVACT_HOST_DEVICE Floats derivative(const F& f, Floats y, LaneMask left, const float*) {
  return f.from_float32(y, left);
}
template <class F>
INVACT_HOST_DEVICE Floats derivative(const F& f, Floats y, LaneMask left, const BFloat16Bits*) {
  return f.from_bfloat16(y, left);
}
template <class F>
INVACT_HOST_DEVICE Floats derivative(const F& f, Floats y, LaneMask left, const HalfBits*) {
  return f.from_float16(y, left);
}

/// Words that a loop takes through one step before it takes the next: what lies between stays in
/// the first-level cache.
constexpr int kBatchWords = 16;
constexpr int kBatch = kBatchWords * kWord;

/// Whole words of `rest` elements, at most a batch.
INVACT_HOST_DEVICE int64_t words_of_batch(int64_t rest) {
  return rest < kBatch ? rest / kWord : kBatchWords;
}

/// The words of a batch that have elements near the minimum: half of them, which half no predictor
/// could tell.
struct NearWords {
  int count = 0;
  int64_t word[kBatchWords + 1];
  uint64_t near[kBatchWords + 1];

  INVACT_HOST_DEVICE void add(int64_t index, uint64_t near_of_word) {
    word[count] = index;
    near[count] = near_of_word;
    count += near_of_word != 0 ? 1 : 0;
  }
};

/// `left` with the refinement codes of the word's elements.
template <class F>
INVACT_HOST_DEVICE uint64_t with_refinements(const F& f, uint64_t left, uint64_t near,
                                             const float* x, const float* y) {
  const uint64_t free = above(y, 0.0f);
  const auto add_code = [&](int element, int rank, bool has_code) {
    const int code = f.refinement_code(x[element], y[element]);
    const uint64_t scattered = scatter_code(code, rank, free);
    left |= has_code ? scattered : 0;
  };
  for_each_refined(near, free, add_code);
  return left;
}

/// The bits of a batch: add() for each word, then finish().
template <class F, class T>
class BatchBits {
 public:
  INVACT_HOST_DEVICE void add(const T* x, const T* y, int64_t word) {
    left_[word] = below(x + word * kWord, F::template first_right<Compute<T>>());
    if constexpr (kHasCodes) near_.add(word, below(y + word * kWord, F::kFirstUnrefined));
  }
  INVACT_HOST_DEVICE void finish(const F& f, const T* x, const T* y, int64_t words, uint8_t* bits) {
    if constexpr (kHasCodes) {
      for (int n = 0; n < near_.count; ++n) {
        const int64_t w = near_.word[n];
        left_[w] = with_refinements(f, left_[w], near_.near[n], x + w * kWord, y + w * kWord);
      }
    }
    memcpy(bits, left_, static_cast<size_t>(words) * sizeof(uint64_t));
  }

 private:
  static constexpr bool kHasCodes = std::is_same_v<T, float> && F::kRefines;

  uint64_t left_[kBatchWords];
  NearWords near_;
};

/// Whole words, at most a batch.
template <class F, class T>
INVACT_HOST_DEVICE void pack_words(const F& f, const T* x, const T* y, int64_t words,
                                   uint8_t* bits) {
  BatchBits<F, T> batch;
  for (int64_t w = 0; w < words; ++w) batch.add(x, y, w);
  batch.finish(f, x, y, words, bits);
}

template <class F, class T>
void pack_all(const F& f, const ForwardArrays& arrays) {
  const T* input = static_cast<const T*>(arrays.input);
  const T* output = static_cast<const T*>(arrays.output);
  int64_t first = 0;
  while (arrays.count - first >= kWord) {
    const int64_t words = words_of_batch(arrays.count - first);
    pack_words(f, input + first, output + first, words, arrays.bits + first / 8);
    first += words * kWord;
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  // Zeros lie on the right branch, are not near the minimum and no free places.
  T last_input[kWord] = {};
  T last_output[kWord] = {};
  uint8_t last_bits[kWord / 8];
  memcpy(last_input, input + first, rest * sizeof(T));
  memcpy(last_output, output + first, rest * sizeof(T));
  pack_words(f, last_input, last_output, 1, last_bits);
  memcpy(arrays.bits + first / 8, last_bits, (rest + 7) / 8);
}

/// y = f(x) for a word of elements. @return whether one is NaN.
INVACT_HOST_DEVICE bool evaluate_word(const math::Hardswish& f, const double* x, double* y) {
  bool has_nan = false;
  for (int i = 0; i < kWord; ++i) {
    y[i] = f.value(x[i]);
    has_nan |= math::is_nan(y[i]);
  }
  return has_nan;
}
template <class F, class T>
INVACT_HOST_DEVICE bool evaluate_word(const F& f, const T* x, T* y) {
  uint64_t nans = 0;
  const auto value = [&](int i) {
    const Floats lanes = aten_value(f, load_lanes(x + i), x);
    nans |= bits_of(math::is_nan(lanes));
    return lanes;
  };
  for (int i = 0; i < kWord; i += 2 * kLanes) store_pair(value(i), value(i + kLanes), y + i);
  return nans != 0;
}

/// As evaluate_word(), for whole words, at most a batch, and their bits.
template <class F, class T>
INVACT_HOST_DEVICE bool forward_words(const F& f, const T* x, int64_t words, T* y, uint8_t* bits) {
  BatchBits<F, T> batch;
  bool has_nan = false;
  for (int64_t w = 0; w < words; ++w) {
    has_nan |= evaluate_word(f, x + w * kWord, y + w * kWord);
    batch.add(x, y, w);
  }
  batch.finish(f, x, y, words, bits);
  return has_nan;
}

template <class F, class T>
bool forward_all(const F& f, const OwnForwardArrays& arrays) {
  const T* const input = static_cast<const T*>(arrays.input);
  T* const output = static_cast<T*>(arrays.output);
  bool has_nan = false;
  int64_t first = 0;
  while (arrays.count - first >= kWord) {
    const int64_t words = words_of_batch(arrays.count - first);
    has_nan |= forward_words(f, input + first, words, output + first, arrays.bits + first / 8);
    first += words * kWord;
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest != 0) {
    T last_input[kWord] = {};  // zeros lie on the right branch
    T last_output[kWord];
    uint8_t last_bits[kWord / 8];
    memcpy(last_input, input + first, rest * sizeof(T));
    has_nan |= forward_words(f, last_input, 1, last_output, last_bits);
    memcpy(output + first, last_output, rest * sizeof(T));
    memcpy(arrays.bits + first / 8, last_bits, (rest + 7) / 8);
  }
  return !has_nan;
}

/// grad_output f'(x) by the form for the named dtype.
template <class F, class Real, class T>
INVACT_HOST_DEVICE Real gradient(const F& f, Real grad_output, Real y, math::Mask<Real> left,
                                 const T* dtype) {
  if constexpr (requires { f.gradient_from_output(grad_output, y); }) {
    return f.gradient_from_output(grad_output, y);
  } else {
    return grad_output * derivative(f, y, left, dtype);
  }
}

#if defined(__AVX512F__)
/// Hardtanh in 16 bit: a gradient that passes is copied and not widened.
template <class T>
INVACT_HOST_DEVICE void copy_passing(const math::Hardtanh& f, const T* grad_output, const T* y,
                                     T* grad_input) {
  for (int i = 0; i < kWord; i += kLanes) {
    const auto cut = static_cast<__mmask32>(bits_for<T>(f.is_cut(load_lanes(y + i))));
    _mm512_storeu_si512(grad_input + i, _mm512_maskz_loadu_epi16(~cut, grad_output + i));
  }
}
#endif

/// grad_input[i] = grad_output[i] f'(x[i]) for a word of elements.
template <class F>
INVACT_HOST_DEVICE void differentiate(const F& f, const double* grad_output, const double* y,
                                      uint64_t left, double* grad_input) {
  for (int i = 0; i < kWord; ++i) {
    grad_input[i] = gradient(f, grad_output[i], y[i], (left >> i & 1) != 0, y);
  }
}
template <class F, class T>
INVACT_HOST_DEVICE void differentiate(const F& f, const T* grad_output, const T* y, uint64_t left,
                                      T* grad_input) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<F, math::Hardtanh> && sizeof(T) == sizeof(uint16_t)) {
    return copy_passing(f, grad_output, y, grad_input);
  }
#endif
  const auto lanes_at = [&](int i) {
    return gradient(f, load_lanes(grad_output + i), load_lanes(y + i), mask_for<T>(left >> i), y);
  };
  for (int i = 0; i < kWord; i += 2 * kLanes) {
    store_pair(lanes_at(i), lanes_at(i + kLanes), grad_input + i);
  }
}

/// Replaces the gradients of a word's elements that have a refinement code.
template <class F>
INVACT_HOST_DEVICE void refine(const F& f, const float* grad_output, const float* y, uint64_t bits,
                               uint64_t near, uint64_t free, float* grad_input) {
  const auto apply_code = [&](int element, int rank, bool has_code) {
    const int code = gather_code(bits, rank, free);
    const bool left = (bits >> element & 1) != 0;
    const float refined = grad_output[element] * f.from_refined(y[element], code, left);
    grad_input[element] = has_code & (code != 0) ? refined : grad_input[element];
  };
  for_each_refined(near, free, apply_code);
}

/// The bits of a batch's words. The bit of an output above zero may be a piece of another
/// element's refinement code: such places are free.
struct BranchWords {
  uint64_t packed[kBatchWords];
  uint64_t free[kBatchWords];

  INVACT_HOST_DEVICE uint64_t left(int64_t word) const { return packed[word] & ~free[word]; }
};

/// A batch of float32, or less of it, of a function with refinement codes.
template <class F>
INVACT_HOST_DEVICE void backward_batch(const F& f, const float* grad_output, const float* y,
                                       const uint8_t* bits, int64_t words, float* grad_input) {
  BranchWords branch;
  memcpy(branch.packed, bits, static_cast<size_t>(words) * sizeof(uint64_t));
  NearWords near;
  for (int64_t w = 0; w < words; ++w) {
    branch.free[w] = above(y + w * kWord, 0.0f);
    near.add(w, below(y + w * kWord, F::kFirstUnrefined));
  }
  for (int64_t w = 0; w < words; ++w) {
    differentiate(f, grad_output + w * kWord, y + w * kWord, branch.left(w),
                  grad_input + w * kWord);
  }
  // Apart from the loop above, whose instructions a wrong guess here would throw away.
  for (int n = 0; n < near.count; ++n) {
    const int64_t w = near.word[n];
    refine(f, grad_output + w * kWord, y + w * kWord, branch.packed[w], near.near[n],
           branch.free[w], grad_input + w * kWord);
  }
}

/// Whole words, at most a batch; `bits` is not read for a function without a branch bit.
template <class F, class T>
INVACT_HOST_DEVICE void backward_words(const F& f, const T* grad_output, const T* y,
                                       const uint8_t* bits, int64_t words, T* grad_input) {
  if constexpr (std::is_same_v<T, float> && F::kRefines) {
    backward_batch(f, grad_output, y, bits, words, grad_input);
  } else {
    for (int64_t i = 0; i < words * kWord; i += kWord) {
      const uint64_t left = F::kBranchBits == 0 ? 0 : load_word(bits + i / 8);
      differentiate(f, grad_output + i, y + i, left, grad_input + i);
    }
  }
}

/// `f` is a copy: a store of gradients could change one that lies elsewhere, for all that the
/// compiler knows, so that each step would read the parameters again.
template <class F, class T>
void backward_all(const F f, const BackwardArrays& arrays) {
  const T* grad_output = static_cast<const T*>(arrays.grad_output);
  const T* output = static_cast<const T*>(arrays.output);
  T* grad_input = static_cast<T*>(arrays.grad_input);
  const auto bits_of_word = [&](int64_t first) {
    return F::kBranchBits == 0 ? nullptr : arrays.bits + first / 8;
  };
  int64_t first = 0;
  while (arrays.count - first >= kWord) {
    const int64_t words = words_of_batch(arrays.count - first);
    backward_words(f, grad_output + first, output + first, bits_of_word(first), words,
                   grad_input + first);
    first += words * kWord;
  }
  const size_t rest = static_cast<size_t>(arrays.count - first);
  if (rest == 0) return;
  T last_grad[kWord] = {};
  T last_output[kWord] = {};
  T last_result[kWord];
  uint8_t last_bits[kWord / 8] = {};
  memcpy(last_grad, grad_output + first, rest * sizeof(T));
  memcpy(last_output, output + first, rest * sizeof(T));
  if (F::kBranchBits != 0) memcpy(last_bits, bits_of_word(first), (rest + 7) / 8);
  backward_words(f, last_grad, last_output, last_bits, 1, last_result);
  memcpy(grad_input + first, last_result, rest * sizeof(T));
}

}  // namespace

namespace INVACT_LOOPS {

template <class F>
bool forward(const F& f, ElementType type, const OwnForwardArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      if constexpr (std::is_same_v<F, math::Hardswish>) return forward_all<F, double>(f, arrays);
      return false;
    case ElementType::kFloat32:
      return forward_all<F, float>(f, arrays);
    case ElementType::kBFloat16:
      return forward_all<F, BFloat16Bits>(f, arrays);
    case ElementType::kFloat16:
      return forward_all<F, HalfBits>(f, arrays);
  }
  return false;
}

template <class F>
void pack(const F& f, ElementType type, const ForwardArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return pack_all<F, double>(f, arrays);
    case ElementType::kFloat32:
      return pack_all<F, float>(f, arrays);
    case ElementType::kBFloat16:
      return pack_all<F, BFloat16Bits>(f, arrays);
    case ElementType::kFloat16:
      return pack_all<F, HalfBits>(f, arrays);
  }
}

template <class F>
void backward(const F& f, ElementType type, const BackwardArrays& arrays) {
  switch (type) {
    case ElementType::kFloat64:
      return backward_all<F, double>(f, arrays);
    case ElementType::kFloat32:
      return backward_all<F, float>(f, arrays);
    case ElementType::kBFloat16:
      return backward_all<F, BFloat16Bits>(f, arrays);
    case ElementType::kFloat16:
      return backward_all<F, HalfBits>(f, arrays);
  }
}

#define INVACT_INSTANTIATE(F) \
  template bool forward<F>(const F&, ElementType, const OwnForwardArrays&);
INVACT_FOR_EACH_FUNCTION_WITH_OWN_FORWARD(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE
#define INVACT_INSTANTIATE(F) template void pack<F>(const F&, ElementType, const ForwardArrays&);
INVACT_FOR_EACH_BRANCHED_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE
#define INVACT_INSTANTIATE(F) \
  template void backward<F>(const F&, ElementType, const BackwardArrays&);
INVACT_FOR_EACH_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE

}  // namespace INVACT_LOOPS
}  // namespace invact::kernels::cpu
