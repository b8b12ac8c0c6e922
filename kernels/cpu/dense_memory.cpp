#include "kernels/cpu/dense_memory.h"

#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>
#include <c10/core/TensorImpl.h>

#include <algorithm>

namespace invact::kernels::cpu {
namespace {

static_assert(kGrainElements == at::internal::GRAIN_SIZE);

void for_each_flat_range(at::Tensor& flat, int64_t grain,
                         const std::function<void(int64_t, int64_t)>& work) {
  at::TensorIterator iterator = at::TensorIterator::nullary_op(flat);
  const char* const base = static_cast<const char*>(flat.const_data_ptr());
  const auto loop = [&](char** data, const int64_t* /*strides*/, int64_t size0, int64_t size1) {
    const int64_t begin = (data[0] - base) / flat.element_size();
    work(begin, begin + size0 * size1);
  };
  iterator.for_each(loop, grain);
}

}  // namespace

at::Tensor flat_range(const at::Tensor& tensor, int64_t first, int64_t count) {
  at::Tensor range = at::detail::make_tensor<c10::TensorImpl>(
      c10::Storage(tensor.storage()), c10::DispatchKeySet(c10::DispatchKey::CPU), tensor.dtype());
  c10::TensorImpl* const impl = range.unsafeGetTensorImpl();
  impl->set_storage_offset(tensor.storage_offset() + first);
  impl->set_sizes_contiguous({count});
  return range;
}

void for_each_range(const at::Tensor& dense, const std::function<void(int64_t, int64_t)>& work) {
  if (dense.numel() < kGrainElements) {  // ATen takes one thread too
    if (dense.numel() > 0) work(0, dense.numel());
    return;
  }
  at::Tensor flat = flat_range(dense, 0, dense.numel());
  for_each_flat_range(flat, kGrainElements, work);
}

void for_each_block_range(const at::Tensor& dense,
                          const std::function<void(int64_t, int64_t)>& work) {
  for_each_range(dense, [&](int64_t begin, int64_t end) {
    const int64_t first = next_block(begin);
    const int64_t last = std::min(next_block(end), dense.numel());
    if (first < last) work(first, last);
  });
}

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  if (count <= grain) {
    if (count > 0) work(0, count);
    return;
  }
  at::Tensor items = at::empty({count}, at::kByte);
  for_each_flat_range(items, grain, work);
}

}  // namespace invact::kernels::cpu
