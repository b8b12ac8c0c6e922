// Definition of recovery_loops.h.
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/recovery_loops.h"
#include "kernels/cuda/storage.cuh"

namespace invact::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 1 << 16;

// The library's own division is approximate (CMakeLists.txt): it would miss outputs that the
// correctly rounded quotient finds.
__device__ float quotient(float dropped, float divisor) {
  return __fdiv_rn(dropped, divisor);
}
__device__ double quotient(double dropped, double divisor) {
  return __ddiv_rn(dropped, divisor);
}

template <class T, class Real>
__global__ void __launch_bounds__(kThreads)
    recover_kernel(const T* dropped, const uint8_t* kept, Real divisor, T* output, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const bool is_kept = (kept[i / 8] >> (i % 8) & 1) != 0;
    from_compute(is_kept ? quotient(to_compute(dropped[i]), divisor) : Real(0), output + i);
  }
}

template <class T, class Real>
void recover_typed(const void* dropped, const uint8_t* kept, double divisor, void* output,
                   int64_t count, cudaStream_t stream) {
  const auto blocks =
      static_cast<unsigned>(std::min((count + kThreads - 1) / kThreads, kMaxBlocks));
  recover_kernel<T, Real><<<blocks, kThreads, 0, stream>>>(static_cast<const T*>(dropped), kept,
                                                           static_cast<Real>(divisor),
                                                           static_cast<T*>(output), count);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void launch_recover(Storage storage, const void* dropped, const uint8_t* kept, double divisor,
                    void* output, int64_t count, cudaStream_t stream) {
  switch (storage) {
    case Storage::kFloat64:
      return recover_typed<double, double>(dropped, kept, divisor, output, count, stream);
    case Storage::kFloat32:
      return recover_typed<float, float>(dropped, kept, divisor, output, count, stream);
    case Storage::kBFloat16:
      return recover_typed<__nv_bfloat16, float>(dropped, kept, divisor, output, count, stream);
    case Storage::kFloat16:
      return recover_typed<__half, float>(dropped, kept, divisor, output, count, stream);
  }
}

}  // namespace invact::kernels::cuda
