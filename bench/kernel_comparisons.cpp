#include "bench/kernel_comparisons.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>

#include <set>
#include <string_view>
#include <utility>

#include "bench/device.h"

namespace invact::bench {
namespace {

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr Dtype kDtypes[] = {
    {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}};
constexpr int64_t kCpuCounts[] = {1 << 12, 1 << 20, 1 << 24};
constexpr int64_t kGpuCounts[] = {1 << 12, 1 << 20, 1 << 24, 1 << 25};
/// Beyond this no cache holds what a call reads and writes.
constexpr int64_t kCacheableBytes = int64_t{64} << 20;

/// Two tensors whose copy reads and writes as many bytes as our side does.
struct Copy {
  at::Tensor from;
  at::Tensor to;
  int64_t bytes;
};

Copy copy_of_same_bytes(const KernelComparison& comparison, const Arrays& arrays) {
  constexpr int64_t kForwardTensors = 2;   // input, output
  constexpr int64_t kBackwardTensors = 3;  // grad_output, output, grad_input
  const int64_t tensors = comparison.is_forward() ? kForwardTensors : kBackwardTensors;
  const int64_t element_bytes = arrays.input.element_size();
  const int64_t branch_bytes = arrays.branch.defined() ? arrays.branch.numel() : 0;
  const int64_t bytes = tensors * arrays.input.numel() * element_bytes + branch_bytes;
  at::Tensor from = at::ones({bytes / 2 / element_bytes}, arrays.input.options());
  at::Tensor to = at::zeros_like(from);
  return {std::move(from), std::move(to), bytes};
}

}  // namespace

std::vector<KernelComparison> kernel_comparisons() {
  std::vector<KernelComparison> comparisons;
  const auto add = [&](const Dtype& dtype, int64_t count, c10::DeviceType device, int threads) {
    const char* device_name = device == c10::kCPU ? "cpu" : "cuda";
    for (const BenchOperator& op : bench_operators()) {
      for (const std::string_view direction : {"forward", "backward"}) {
        if (direction == "forward" && !op.has_own_forward()) continue;
        comparisons.push_back(
            {{op.name, std::string(direction), dtype.name, device_name, count, threads},
             &op,
             dtype.type,
             device});
      }
    }
  };
  const std::set<int> thread_counts = {1, at::get_num_threads()};
  for (const Dtype& dtype : kDtypes) {
    for (const int64_t count : kCpuCounts) {
      for (const int threads : thread_counts) add(dtype, count, c10::kCPU, threads);
    }
  }
  if (!cuda::is_available()) return comparisons;
  for (const Dtype& dtype : kDtypes) {
    for (const int64_t count : kGpuCounts) add(dtype, count, c10::kCUDA, 0);
  }
  return comparisons;
}

Arrays& ComparisonRunner::arrays_for(const KernelComparison& comparison) {
  const Key key{comparison.dtype, comparison.device, comparison.subject.element_count};
  if (!arrays_ || key != key_) {
    arrays_.reset();
    arrays_ = make_arrays(key.dtype, key.count, key.device);
    key_ = key;
  }
  prepare(*comparison.op, *arrays_);
  return *arrays_;
}

Measurement ComparisonRunner::run(const KernelComparison& comparison, int pairs,
                                  c10::function_ref<void(double)> on_pair) {
  if (comparison.device == c10::kCPU) at::set_num_threads(comparison.subject.thread_count);
  // Below autograd, as autograd itself calls these.
  const at::AutoDispatchBelowADInplaceOrView guard;
  Arrays& arrays = arrays_for(comparison);
  const Copy copy = copy_of_same_bytes(comparison, arrays);
  const BenchOperator& op = *comparison.op;
  const auto aten_forward = [&] { op.aten_forward(arrays); };
  const auto aten_backward = [&] { op.aten_backward(arrays); };
  const auto our_forward = [&] { invact_forward(op, arrays); };
  const auto our_backward = [&] { invact_backward(op, arrays); };
  const auto plain_copy = [&] { copy.to.copy_(copy.from); };
  const Sides sides{comparison.is_forward() ? Work(aten_forward) : Work(aten_backward),
                    comparison.is_forward() ? Work(our_forward) : Work(our_backward), plain_copy};
  Samples samples =
      compare(comparison.clock(), pairs, copy.bytes < kCacheableBytes, sides, on_pair);
  return {{comparison.subject, quotients(samples.ours, samples.aten),
           quotients(samples.ours, samples.copy)},
          std::move(samples),
          copy.bytes};
}

}  // namespace invact::bench
