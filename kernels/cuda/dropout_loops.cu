// Definitions of dropout_loops.h. A thread owns eight neighbouring elements, hence one byte of
// bits.
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/dropout_loops.h"
#include "kernels/cuda/storage.cuh"

namespace invact::kernels::cuda {
namespace {

constexpr int kPerThread = 8;
constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 1 << 16;

__device__ int64_t first() {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPerThread;
}
__device__ int64_t stride() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x * kPerThread;
}

__global__ void __launch_bounds__(kThreads)
    pack_kernel(const uint8_t* drawn, int64_t count, uint8_t* bits) {
  for (int64_t i = first(); i < count; i += stride()) {
    unsigned byte = 0;
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
      if (i + j < count && drawn[i + j] != 0) byte |= 1u << j;
    }
    bits[i / kPerThread] = static_cast<uint8_t>(byte);
  }
}

template <class T>
struct alignas(16) Pack {
  T element[kPerThread];
};

template <class T, class Real>
__device__ void keep_elements(const T* input, unsigned byte, Real scale, T* output, int count) {
#pragma unroll
  for (int j = 0; j < kPerThread; ++j) {
    // In ATen's order, which tells -0, infinity and NaN.
    if (j < count) {
      from_compute(to_compute(input[j]) * static_cast<Real>(byte >> j & 1u) * scale, output + j);
    }
  }
}

template <bool kAligned, class T, class Real>
__global__ void __launch_bounds__(kThreads)
    keep_kernel(const T* input, const uint8_t* bits, Real scale, T* output, int64_t count) {
  for (int64_t i = first(); i < count; i += stride()) {
    const unsigned byte = bits[i / kPerThread];
    const int64_t rest = count - i;
    if (kAligned && rest >= kPerThread) {
      const Pack<T> x = *reinterpret_cast<const Pack<T>*>(input + i);
      Pack<T> result;
      keep_elements(x.element, byte, scale, result.element, kPerThread);
      *reinterpret_cast<Pack<T>*>(output + i) = result;
    } else {
      keep_elements(input + i, byte, scale, output + i,
                    static_cast<int>(rest < kPerThread ? rest : kPerThread));
    }
  }
}

unsigned block_count(int64_t count) {
  constexpr int64_t kPerBlock = static_cast<int64_t>(kThreads) * kPerThread;
  return static_cast<unsigned>(std::min((count + kPerBlock - 1) / kPerBlock, kMaxBlocks));
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

template <class T, class Real>
void keep_typed(const void* input, const uint8_t* bits, double scale, void* output, int64_t count,
                cudaStream_t stream) {
  const auto kernel = is_aligned(input) && is_aligned(output) ? keep_kernel<true, T, Real>
                                                              : keep_kernel<false, T, Real>;
  kernel<<<block_count(count), kThreads, 0, stream>>>(
      static_cast<const T*>(input), bits, static_cast<Real>(scale), static_cast<T*>(output), count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void launch_pack_drawn(const uint8_t* drawn, int64_t count, uint8_t* bits, cudaStream_t stream) {
  pack_kernel<<<block_count(count), kThreads, 0, stream>>>(drawn, count, bits);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void launch_keep(Storage storage, const void* input, const uint8_t* bits, double scale,
                 void* output, int64_t count, cudaStream_t stream) {
  switch (storage) {
    case Storage::kFloat64:
      return keep_typed<double, double>(input, bits, scale, output, count, stream);
    case Storage::kFloat32:
      return keep_typed<float, float>(input, bits, scale, output, count, stream);
    case Storage::kBFloat16:
      return keep_typed<__nv_bfloat16, float>(input, bits, scale, output, count, stream);
    case Storage::kFloat16:
      return keep_typed<__half, float>(input, bits, scale, output, count, stream);
  }
}

}  // namespace invact::kernels::cuda
