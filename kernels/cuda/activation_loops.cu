// Definitions of activation_loops.h. A lane moves 16 bytes at a time and a warp's accesses lie side
// by side; the bits of neighbouring lanes are joined into words of 32 elements by shuffles: one
// lane writes a word, and no two write the same one, so that nothing is atomic.
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/activation_loops.h"
#include "kernels/cuda/element_type.cuh"
#include "kernels/math/functions.h"

namespace invact::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kWordBits = 32;
constexpr int kLoadBytes = 16;
/// Loads that a lane has under way at once, from each array.
constexpr int kLoads = 2;

template <class T>
constexpr int kPerLane = kLoadBytes / static_cast<int>(sizeof(T));
template <class T>
constexpr int kPerWarp = kLoadBytes / static_cast<int>(sizeof(T)) * kWarp;

template <class T>
struct alignas(kLoadBytes) Pack {
  T element[kPerLane<T>];
};

template <class F>
__device__ double derivative(const F& f, double y, bool left) {
  return f.from_float64(y, left);
}
template <class F>
__device__ float derivative(const F& f, float y, bool left) {
  return f.from_float32(y, left);
}
template <class F>
__device__ float derivative(const F& f, __nv_bfloat16 y, bool left) {
  return f.from_bfloat16(__bfloat162float(y), left);
}
template <class F>
__device__ float derivative(const F& f, __half y, bool left) {
  return f.from_float16(__half2float(y), left);
}

/// The bits of a lane's elements.
template <class F, class T>
__device__ unsigned branch_bits(const F& f, const Pack<T>& x) {
  unsigned bits = 0;
#pragma unroll
  for (int i = 0; i < kPerLane<T>; ++i) {
    const auto value = to_compute(x.element[i]);
    const bool left = value < F::template first_right<std::remove_cv_t<decltype(value)>>();
    bits |= left ? 1u << i : 0u;
  }
  return bits;
}

/// grad_output f'(x).
template <class F, class T>
__device__ auto gradient(const F& f, T grad_output, T y, bool left) {
  const auto incoming = to_compute(grad_output);
  if constexpr (requires { f.gradient_from_output(incoming, to_compute(y)); }) {
    return f.gradient_from_output(incoming, to_compute(y));
  } else {
    return incoming * derivative(f, y, left);
  }
}

template <class F, class T>
__device__ Pack<T> gradient(const F& f, const Pack<T>& g, const Pack<T>& y, unsigned bits) {
  Pack<T> result;
#pragma unroll
  for (int i = 0; i < kPerLane<T>; ++i) {
    const bool left = (bits >> i & 1u) != 0;
    from_compute(gradient(f, g.element[i], y.element[i], left), result.element + i);
  }
  return result;
}

/// A lane's elements of an array; zero where none are left, as is their bit.
template <bool kAligned, class T>
__device__ Pack<T> load(const T* from, int64_t rest) {
  if (kAligned && rest >= kPerLane<T>) return *reinterpret_cast<const Pack<T>*>(from);
  Pack<T> pack;
#pragma unroll
  for (int i = 0; i < kPerLane<T>; ++i) {
    if (i < rest) {
      pack.element[i] = from[i];
    } else {
      pack.element[i] = T(0.0f);
    }
  }
  return pack;
}

template <bool kAligned, class T>
__device__ void store(const Pack<T>& pack, int64_t rest, T* to) {
  if (kAligned && rest >= kPerLane<T>) {
    *reinterpret_cast<Pack<T>*>(to) = pack;
    return;
  }
#pragma unroll
  for (int i = 0; i < kPerLane<T>; ++i) {
    if (i < rest) to[i] = pack.element[i];
  }
}

/// The word that this lane's `kBits` bits are a part of, in every lane of that word. All lanes of
/// the warp call it.
template <int kBits>
__device__ unsigned join_word(unsigned bits, int lane) {
  unsigned word = bits << (lane * kBits % kWordBits);
#pragma unroll
  for (int step = 1; step < kWordBits / kBits; step *= 2) {
    word |= __shfl_xor_sync(0xffffffffu, word, step);
  }
  return word;
}

/// Of the word of element `first`, a multiple of 32; `rest` elements are left from there on.
template <bool kAligned>
__device__ void store_word(unsigned word, int64_t first, int64_t rest, uint8_t* bits) {
  if (kAligned && rest >= kWordBits) {
    reinterpret_cast<unsigned*>(bits)[first / kWordBits] = word;
    return;
  }
  for (int i = 0; i < kWordBits && i < rest; i += 8) {
    bits[(first + i) / 8] = static_cast<uint8_t>(word >> i);
  }
}
template <bool kAligned>
__device__ unsigned load_word(const uint8_t* bits, int64_t first, int64_t rest) {
  if (kAligned && rest >= kWordBits) {
    return reinterpret_cast<const unsigned*>(bits)[first / kWordBits];
  }
  unsigned word = 0;
  for (int i = 0; i < kWordBits && i < rest; i += 8) {
    word |= static_cast<unsigned>(bits[(first + i) / 8]) << i;
  }
  return word;
}

/// Calls `work(first)` with the first element of each of this warp's tiles of kLoads * kPerWarp.
/// Every lane of a warp makes the same calls.
template <class T, class Work>
__device__ void for_each_tile(int64_t count, const Work& work) {
  constexpr int64_t kTile = kLoads * kPerWarp<T>;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * blockDim.x / kWarp;
  for (int64_t tile = thread / kWarp; tile * kTile < count; tile += warps) work(tile * kTile);
}

template <bool kAligned, class F, class T>
__global__ void __launch_bounds__(kThreads)
    pack_kernel(F f, const T* input, int64_t count, uint8_t* bits) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int first_of_lane = lane * kPerLane<T>;
  const int first_of_word = first_of_lane / kWordBits * kWordBits;
  for_each_tile<T>(count, [&](int64_t tile) {
    Pack<T> x[kLoads];
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int64_t i = tile + n * kPerWarp<T> + first_of_lane;
      x[n] = load<kAligned>(input + i, count - i);
    }
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const unsigned word = join_word<kPerLane<T>>(branch_bits(f, x[n]), lane);
      const int64_t first = tile + n * kPerWarp<T> + first_of_word;
      if (first_of_lane == first_of_word) store_word<kAligned>(word, first, count - first, bits);
    }
  });
}

template <bool kAligned, class F, class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(F f, const T* grad_output, const T* output, const uint8_t* bits, T* grad_input,
                    int64_t count) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int first_of_lane = lane * kPerLane<T>;
  const int place_in_word = first_of_lane % kWordBits;
  for_each_tile<T>(count, [&](int64_t tile) {
    Pack<T> g[kLoads];
    Pack<T> y[kLoads];
    unsigned word[kLoads] = {};
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int64_t i = tile + n * kPerWarp<T> + first_of_lane;
      g[n] = load<kAligned>(grad_output + i, count - i);
      y[n] = load<kAligned>(output + i, count - i);
      const int64_t first = i - place_in_word;
      if (F::kBranchBits > 0) word[n] = load_word<kAligned>(bits, first, count - first);
    }
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int64_t i = tile + n * kPerWarp<T> + first_of_lane;
      const Pack<T> result = gradient(f, g[n], y[n], word[n] >> place_in_word);
      store<kAligned>(result, count - i, grad_input + i);
    }
  });
}

bool is_aligned(const void* pointer, size_t bytes = kLoadBytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

/// As many blocks as the current device runs at once, a few times over, so that the last ones do
/// not leave it half empty; fewer where there is less to do.
unsigned block_count(int64_t count, int64_t per_warp) {
  constexpr int kRounds = 4;
  int device = 0;
  int processors = 0;
  int threads_per_processor = 0;
  C10_CUDA_CHECK(cudaGetDevice(&device));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&threads_per_processor,
                                        cudaDevAttrMaxThreadsPerMultiProcessor, device));
  const int64_t most =
      static_cast<int64_t>(kRounds) * processors * (threads_per_processor / kThreads);
  const int64_t per_block = per_warp * (kThreads / kWarp);
  return static_cast<unsigned>(std::min((count + per_block - 1) / per_block, most));
}

template <class F, class T>
void pack_typed(const F& f, const void* input, int64_t count, uint8_t* bits, cudaStream_t stream) {
  const bool aligned = is_aligned(input) && is_aligned(bits, kWordBits / 8);
  const auto kernel = aligned ? pack_kernel<true, F, T> : pack_kernel<false, F, T>;
  kernel<<<block_count(count, kLoads * kPerWarp<T>), kThreads, 0, stream>>>(
      f, static_cast<const T*>(input), count, bits);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class F, class T>
void backward_typed(const F& f, const BackwardArrays& arrays, cudaStream_t stream) {
  // Without bits the pointer is null, which is aligned.
  const bool aligned = is_aligned(arrays.grad_output) && is_aligned(arrays.output) &&
                       is_aligned(arrays.grad_input) && is_aligned(arrays.bits, kWordBits / 8);
  const auto kernel = aligned ? backward_kernel<true, F, T> : backward_kernel<false, F, T>;
  kernel<<<block_count(arrays.count, kLoads * kPerWarp<T>), kThreads, 0, stream>>>(
      f, static_cast<const T*>(arrays.grad_output), static_cast<const T*>(arrays.output),
      arrays.bits, static_cast<T*>(arrays.grad_input), arrays.count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

template <class F>
void launch_pack(const F& f, ElementType type, const void* input, int64_t count, uint8_t* bits,
                 cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return pack_typed<F, double>(f, input, count, bits, stream);
    case ElementType::kFloat32:
      return pack_typed<F, float>(f, input, count, bits, stream);
    case ElementType::kBFloat16:
      return pack_typed<F, __nv_bfloat16>(f, input, count, bits, stream);
    case ElementType::kFloat16:
      return pack_typed<F, __half>(f, input, count, bits, stream);
  }
}

template <class F>
void launch_backward(const F& f, ElementType type, const BackwardArrays& arrays,
                     cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return backward_typed<F, double>(f, arrays, stream);
    case ElementType::kFloat32:
      return backward_typed<F, float>(f, arrays, stream);
    case ElementType::kBFloat16:
      return backward_typed<F, __nv_bfloat16>(f, arrays, stream);
    case ElementType::kFloat16:
      return backward_typed<F, __half>(f, arrays, stream);
  }
}

#define INVACT_INSTANTIATE(F) \
  template void launch_pack<F>(const F&, ElementType, const void*, int64_t, uint8_t*, cudaStream_t);
INVACT_FOR_EACH_BRANCHED_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE
#define INVACT_INSTANTIATE(F) \
  template void launch_backward<F>(const F&, ElementType, const BackwardArrays&, cudaStream_t);
INVACT_FOR_EACH_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE

}  // namespace invact::kernels::cuda
