// What loops share whose threads own eight neighbouring elements each, hence one byte of bits.
#pragma once

#include <algorithm>
#include <cstdint>

namespace invact::kernels::cuda {

inline constexpr int kPerThread = 8;
inline constexpr int kThreadsPerBlock = 256;

/// The elements of a thread, moved 16 bytes at a time.
template <class T>
struct alignas(16) Pack {
  T element[kPerThread];
};

inline bool is_pack_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

/// Blocks for `count` elements; each thread goes on in strides of the grid.
inline unsigned block_count(int64_t count) {
  constexpr int64_t kPerBlock = static_cast<int64_t>(kThreadsPerBlock) * kPerThread;
  constexpr int64_t kMaxBlocks = 1 << 16;
  return static_cast<unsigned>(std::min((count + kPerBlock - 1) / kPerBlock, kMaxBlocks));
}

/// Calls `work(first, size)` for each of this thread's packs; `size` is eight but at the end.
template <class Work>
__device__ void for_each_pack(int64_t count, Work work) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x * kPerThread;
  for (int64_t first = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kPerThread;
       first < count; first += stride) {
    const int64_t rest = count - first;
    work(first, static_cast<int>(rest < kPerThread ? rest : kPerThread));
  }
}

/// output[i] = element(input[i], bit i) for a pack's `size` elements. kAligned: of both arrays.
template <bool kAligned, class T, class Element>
__device__ void map_pack(const T* input, unsigned byte, int size, T* output, Element element) {
  if (kAligned && size == kPerThread) {
    const Pack<T> from = *reinterpret_cast<const Pack<T>*>(input);
    Pack<T> to;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      element(from.element[i], (byte >> i & 1u) != 0, to.element + i);
    }
    *reinterpret_cast<Pack<T>*>(output) = to;
  } else {
    for (int i = 0; i < size; ++i) element(input[i], (byte >> i & 1u) != 0, output + i);
  }
}

}  // namespace invact::kernels::cuda
