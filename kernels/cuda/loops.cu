// Definitions of loops.h. A thread owns eight neighbouring elements, hence one byte of bits: no two
// threads share a byte, and a 16-bit type moves 16 bytes per access.
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/loops.h"
#include "kernels/cuda/storage.cuh"
#include "kernels/math/functions.h"

namespace invact::kernels::cuda {
namespace {

constexpr int kPerThread = 8;
constexpr int kThreads = 256;
// Enough blocks to fill any GPU several times over; the grid-stride loop takes the rest, so counts
// beyond 2^31 are fine.
constexpr int64_t kMaxBlocks = 1 << 16;

template <class T>
struct alignas(16) Pack {
  T element[kPerThread];
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

template <class F, class T>
__device__ unsigned pack_elements(const F& f, const T* x, int count) {
  unsigned byte = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const auto value = to_compute(x[i < count ? i : 0]);
    const bool left = value < F::template first_right<std::remove_cv_t<decltype(value)>>();
    if (i < count && left) byte |= 1u << i;
  }
  return byte;
}

template <class F, class T>
__device__ void differentiate(const F& f, const T* g, const T* y, unsigned byte, T* result,
                              int count) {
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    if (i < count) from_compute(to_compute(g[i]) * derivative(f, y[i], byte >> i & 1u), result + i);
  }
}

/// The first element of this thread's n-th run of eight, for a loop `for (i = first(); i < count; i
/// += stride())`.
__device__ int64_t first() {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPerThread;
}
__device__ int64_t stride() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x * kPerThread;
}

template <bool kAligned, class F, class T>
__global__ void __launch_bounds__(kThreads)
    pack_kernel(F f, const T* input, int64_t count, uint8_t* bits) {
  for (int64_t i = first(); i < count; i += stride()) {
    const int64_t rest = count - i;
    unsigned byte;
    if (kAligned && rest >= kPerThread) {
      const Pack<T> x = *reinterpret_cast<const Pack<T>*>(input + i);
      byte = pack_elements(f, x.element, kPerThread);
    } else {
      byte = pack_elements(f, input + i, static_cast<int>(rest < kPerThread ? rest : kPerThread));
    }
    bits[i / kPerThread] = static_cast<uint8_t>(byte);
  }
}

template <bool kAligned, class F, class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(F f, const T* grad_output, const T* output, const uint8_t* bits, T* grad_input,
                    int64_t count) {
  for (int64_t i = first(); i < count; i += stride()) {
    const int64_t rest = count - i;
    const unsigned byte = F::kBranchBits > 0 ? bits[i / kPerThread] : 0u;
    if (kAligned && rest >= kPerThread) {
      const Pack<T> g = *reinterpret_cast<const Pack<T>*>(grad_output + i);
      const Pack<T> y = *reinterpret_cast<const Pack<T>*>(output + i);
      Pack<T> result;
      differentiate(f, g.element, y.element, byte, result.element, kPerThread);
      *reinterpret_cast<Pack<T>*>(grad_input + i) = result;
    } else {
      differentiate(f, grad_output + i, output + i, byte, grad_input + i,
                    static_cast<int>(rest < kPerThread ? rest : kPerThread));
    }
  }
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

unsigned block_count(int64_t count) {
  constexpr int64_t kPerBlock = static_cast<int64_t>(kThreads) * kPerThread;
  return static_cast<unsigned>(std::min((count + kPerBlock - 1) / kPerBlock, kMaxBlocks));
}

template <class F, class T>
void pack_typed(const F& f, const void* input, int64_t count, uint8_t* bits, cudaStream_t stream) {
  const auto kernel = is_aligned(input) ? pack_kernel<true, F, T> : pack_kernel<false, F, T>;
  kernel<<<block_count(count), kThreads, 0, stream>>>(f, static_cast<const T*>(input), count, bits);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class F, class T>
void backward_typed(const F& f, const BackwardArrays& arrays, cudaStream_t stream) {
  const bool aligned =
      is_aligned(arrays.grad_output) && is_aligned(arrays.output) && is_aligned(arrays.grad_input);
  const auto kernel = aligned ? backward_kernel<true, F, T> : backward_kernel<false, F, T>;
  kernel<<<block_count(arrays.count), kThreads, 0, stream>>>(
      f, static_cast<const T*>(arrays.grad_output), static_cast<const T*>(arrays.output),
      arrays.bits, static_cast<T*>(arrays.grad_input), arrays.count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

template <class F>
void launch_pack(const F& f, Storage storage, const void* input, int64_t count, uint8_t* bits,
                 cudaStream_t stream) {
  switch (storage) {
    case Storage::kFloat64:
      return pack_typed<F, double>(f, input, count, bits, stream);
    case Storage::kFloat32:
      return pack_typed<F, float>(f, input, count, bits, stream);
    case Storage::kBFloat16:
      return pack_typed<F, __nv_bfloat16>(f, input, count, bits, stream);
    case Storage::kFloat16:
      return pack_typed<F, __half>(f, input, count, bits, stream);
  }
}

template <class F>
void launch_backward(const F& f, Storage storage, const BackwardArrays& arrays,
                     cudaStream_t stream) {
  switch (storage) {
    case Storage::kFloat64:
      return backward_typed<F, double>(f, arrays, stream);
    case Storage::kFloat32:
      return backward_typed<F, float>(f, arrays, stream);
    case Storage::kBFloat16:
      return backward_typed<F, __nv_bfloat16>(f, arrays, stream);
    case Storage::kFloat16:
      return backward_typed<F, __half>(f, arrays, stream);
  }
}

#define INVACT_INSTANTIATE(F) \
  template void launch_pack<F>(const F&, Storage, const void*, int64_t, uint8_t*, cudaStream_t);
INVACT_FOR_EACH_BRANCHED_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE
#define INVACT_INSTANTIATE(F) \
  template void launch_backward<F>(const F&, Storage, const BackwardArrays&, cudaStream_t);
INVACT_FOR_EACH_FUNCTION(INVACT_INSTANTIATE)
#undef INVACT_INSTANTIATE

}  // namespace invact::kernels::cuda
