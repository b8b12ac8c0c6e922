// A dense tensor's memory as the CPU kernels see it: addresses of elements, and ranges of elements
// on ATen's threads. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "kernels/cpu/activation_loops.h"

namespace invact::kernels::cpu {

inline const char* at_element(const at::Tensor& tensor, int64_t element) {
  return static_cast<const char*>(tensor.const_data_ptr()) + element * tensor.element_size();
}

/// A one-dimensional tensor over `count` elements of a dense tensor's memory.
at::Tensor flat_range(const at::Tensor& tensor, int64_t first, int64_t count);

/// Calls `work(begin, end)` for the ranges of elements into which ATen divides an elementwise
/// kernel over `dense`, on its threads. By way of a TensorIterator, because at::parallel_for, a
/// template, would need an OpenMP runtime of this library's own beside LibTorch's.
void for_each_range(const at::Tensor& dense, const std::function<void(int64_t, int64_t)>& work);

/// The first block (kBlock) that begins at or behind an element.
inline int64_t next_block(int64_t element) {
  return (element + kBlock - 1) / kBlock * kBlock;
}

/// for_each_range() of whole blocks: a block belongs to the range that its first element is in.
void for_each_block_range(const at::Tensor& dense,
                          const std::function<void(int64_t, int64_t)>& work);

/// Elements for which another thread is worth its while: ATen's own measure.
constexpr int64_t kGrainElements = 32768;

/// Calls `work(begin, end)` for ranges of at least `grain` of `count` items, on ATen's threads.
void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work);

}  // namespace invact::kernels::cpu
