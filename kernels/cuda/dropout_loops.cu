// Definitions of dropout_loops.h.
#include <c10/cuda/CUDAException.h>

#include <cstdint>

#include "kernels/cuda/dropout_loops.h"
#include "kernels/cuda/eight_per_thread.cuh"
#include "kernels/cuda/element_type.cuh"
#include "kernels/math/bit_bytes.h"

namespace invact::kernels::cuda {
namespace {

/// kAligned: `drawn` by its packs.
template <bool kAligned>
__global__ void __launch_bounds__(kThreadsPerBlock)
    pack_kernel(const uint8_t* drawn, int64_t count, uint8_t* bits) {
  for_each_pack(count, [&](int64_t first, int size) {
    uint64_t bytes = 0;
    if (kAligned && size == kPerThread) {
      bytes = *reinterpret_cast<const uint64_t*>(drawn + first);
    } else {
      for (int i = 0; i < size; ++i) bytes |= static_cast<uint64_t>(drawn[first + i]) << 8 * i;
    }
    bits[first / kPerThread] = math::bits_of_bytes(bytes);
  });
}

template <bool kAligned, class T, class Real>
__global__ void __launch_bounds__(kThreadsPerBlock)
    keep_kernel(const T* input, const uint8_t* bits, Real scale, T* output, int64_t count) {
  for_each_pack(count, [&](int64_t first, int size) {
    map_pack<kAligned>(input + first, bits[first / kPerThread], size, output + first,
                       [scale](T x, bool kept, T* result) {
                         // In ATen's order, which shows in -0, infinity and NaN.
                         from_compute(to_compute(x) * static_cast<Real>(kept) * scale, result);
                       });
  });
}

template <class T, class Real>
void keep_typed(const void* input, const uint8_t* bits, double scale, void* output, int64_t count,
                cudaStream_t stream) {
  const auto kernel = is_pack_aligned(input) && is_pack_aligned(output)
                          ? keep_kernel<true, T, Real>
                          : keep_kernel<false, T, Real>;
  kernel<<<block_count(count), kThreadsPerBlock, 0, stream>>>(
      static_cast<const T*>(input), bits, static_cast<Real>(scale), static_cast<T*>(output), count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

// The library's own division is approximate (CMakeLists.txt): it would miss outputs that the
// correctly rounded quotient finds.
__device__ float quotient(float dropped, float divisor) {
  return __fdiv_rn(dropped, divisor);
}
__device__ double quotient(double dropped, double divisor) {
  return __ddiv_rn(dropped, divisor);
}

template <bool kAligned, class T, class Real>
__global__ void __launch_bounds__(kThreadsPerBlock)
    recover_kernel(const T* dropped, const uint8_t* kept, Real divisor, T* output, int64_t count) {
  for_each_pack(count, [&](int64_t first, int size) {
    map_pack<kAligned>(dropped + first, kept[first / kPerThread], size, output + first,
                       [divisor](T x, bool is_kept, T* result) {
                         from_compute(is_kept ? quotient(to_compute(x), divisor) : Real(0), result);
                       });
  });
}

template <class T, class Real>
void recover_typed(const void* dropped, const uint8_t* kept, double divisor, void* output,
                   int64_t count, cudaStream_t stream) {
  const auto kernel = is_pack_aligned(dropped) && is_pack_aligned(output)
                          ? recover_kernel<true, T, Real>
                          : recover_kernel<false, T, Real>;
  kernel<<<block_count(count), kThreadsPerBlock, 0, stream>>>(static_cast<const T*>(dropped), kept,
                                                              static_cast<Real>(divisor),
                                                              static_cast<T*>(output), count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void launch_pack_drawn(const uint8_t* drawn, int64_t count, uint8_t* bits, cudaStream_t stream) {
  const auto kernel =
      reinterpret_cast<uintptr_t>(drawn) % kPerThread == 0 ? pack_kernel<true> : pack_kernel<false>;
  kernel<<<block_count(count), kThreadsPerBlock, 0, stream>>>(drawn, count, bits);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

void launch_keep(ElementType type, const void* input, const uint8_t* bits, double scale,
                 void* output, int64_t count, cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return keep_typed<double, double>(input, bits, scale, output, count, stream);
    case ElementType::kFloat32:
      return keep_typed<float, float>(input, bits, scale, output, count, stream);
    case ElementType::kBFloat16:
      return keep_typed<__nv_bfloat16, float>(input, bits, scale, output, count, stream);
    case ElementType::kFloat16:
      return keep_typed<__half, float>(input, bits, scale, output, count, stream);
  }
}

void launch_recover(ElementType type, const void* dropped, const uint8_t* kept, double divisor,
                    void* output, int64_t count, cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return recover_typed<double, double>(dropped, kept, divisor, output, count, stream);
    case ElementType::kFloat32:
      return recover_typed<float, float>(dropped, kept, divisor, output, count, stream);
    case ElementType::kBFloat16:
      return recover_typed<__nv_bfloat16, float>(dropped, kept, divisor, output, count, stream);
    case ElementType::kFloat16:
      return recover_typed<__half, float>(dropped, kept, divisor, output, count, stream);
  }
}

}  // namespace invact::kernels::cuda
