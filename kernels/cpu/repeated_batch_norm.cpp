#include "kernels/cpu/repeated_batch_norm.h"

#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/native_batch_norm_cpu_dispatch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

#include "kernels/cpu/dense_memory.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/repeated_batch_norm_loops.h"
#include "kernels/element_type_of.h"

namespace invact::kernels::cpu {
namespace {

/// ATen has a kernel for each; a matrix is one of channels side by side too.
enum class ChannelOrder { kOuter, kInner, kMatrix };

struct Layout {
  ChannelOrder order;
  at::MemoryFormat format;
};

/// Nothing where ATen takes another way than these kernels.
std::optional<Layout> layout_of(const at::Tensor& input) {
  if (input.is_contiguous()) {
    const bool is_matrix = input.numel() == input.size(0) * input.size(1);
    return Layout{is_matrix ? ChannelOrder::kMatrix : ChannelOrder::kOuter,
                  at::MemoryFormat::Contiguous};
  }
  for (const auto format : {at::MemoryFormat::ChannelsLast3d, at::MemoryFormat::ChannelsLast}) {
    if (input.is_contiguous(format)) return Layout{ChannelOrder::kInner, format};
  }
  return std::nullopt;
}

/// Where ATen's compiler fused a product with the sum behind it.
struct Fusion {
  bool in_beta;
  bool in_loop;
};

/// alpha and beta of all channels, in ATen's order of operations.
template <class T>
at::Tensor linear_terms(const RepeatedBatchNorm& norm, bool is_fused) {
  const int64_t channels = norm.mean.numel();
  at::Tensor terms = at::empty({2, channels}, norm.mean.options());
  T* const alpha = terms.mutable_data_ptr<T>();
  T* const beta = alpha + channels;
  const T* const mean = norm.mean.const_data_ptr<T>();
  const T* const invstd = norm.invstd.const_data_ptr<T>();
  const T* const weight = norm.weight.defined() ? norm.weight.const_data_ptr<T>() : nullptr;
  const T* const bias = norm.bias.defined() ? norm.bias.const_data_ptr<T>() : nullptr;
  for (int64_t c = 0; c < channels; ++c) {
    alpha[c] = invstd[c] * (weight ? weight[c] : T(1));
    const T b = bias ? bias[c] : T(0);
    beta[c] = is_fused ? std::fma(-mean[c], alpha[c], b) : b - mean[c] * alpha[c];
  }
  return terms;
}

at::Tensor apply(const RepeatedBatchNorm& norm, const Layout& layout, Fusion fusion) {
  const bool is_double = norm.input.scalar_type() == at::kDouble;
  const at::Tensor terms = is_double ? linear_terms<double>(norm, fusion.in_beta)
                                     : linear_terms<float>(norm, fusion.in_beta);
  at::Tensor output = at::empty_like(norm.input, layout.format);
  const int64_t channels = norm.mean.numel();
  const bool is_per_row = layout.order == ChannelOrder::kOuter;
  const int64_t columns =
      is_per_row ? norm.input.numel() / (norm.input.size(0) * channels) : channels;
  const ElementType type = element_type_of(norm.input);
  const LinearLoop loop = fusion.in_loop ? &avx2::linear : &baseline::linear;
  char* const to = static_cast<char*>(output.mutable_data_ptr());
  const auto run = [&](int64_t row, int64_t channel, int64_t rows) {
    const int64_t first = row * columns;
    const LinearArrays arrays{at_element(norm.input, first),
                              at_element(terms, channel),
                              at_element(terms, channels + channel),
                              to + first * output.element_size(),
                              rows,
                              columns};
    loop(type, is_per_row, arrays);
  };
  const int64_t grain = std::max<int64_t>(1, kGrainElements / columns);
  parallel_for(norm.input.numel() / columns, grain, [&](int64_t begin, int64_t end) {
    if (!is_per_row) return run(begin, 0, end - begin);
    for (int64_t row = begin; row < end;) {
      const int64_t channel = row % channels;
      const int64_t rows = std::min(channels - channel, end - row);
      run(row, channel, rows);
      row += rows;
    }
  });
  return output;
}

/// Numbers without a pattern, from no generator of torch's.
template <class T>
at::Tensor scattered_numbers(at::IntArrayRef sizes, at::MemoryFormat format) {
  const auto options =
      at::TensorOptions(c10::CppTypeToScalarType<T>::value).device(at::kCPU).memory_format(format);
  at::Tensor tensor = at::empty(sizes, options);
  T* const element = tensor.mutable_data_ptr<T>();
  uint64_t state = 1;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    element[i] = static_cast<T>(static_cast<double>(state >> 11) * 0x1p-53 * 4 - 2);
  }
  return tensor;
}

/// The fusion that gives ATen's bits of a norm with tails of every kind; nothing if none does.
template <class T>
std::optional<Fusion> try_fusions(ChannelOrder order) {
  constexpr int64_t kChannels = 37;
  const at::Tensor input =
      order == ChannelOrder::kMatrix
          ? scattered_numbers<T>({65, kChannels}, at::MemoryFormat::Contiguous)
          : scattered_numbers<T>({3, kChannels, 5, 7}, order == ChannelOrder::kInner
                                                           ? at::MemoryFormat::ChannelsLast
                                                           : at::MemoryFormat::Contiguous);
  const at::Tensor weight = scattered_numbers<T>({kChannels}, at::MemoryFormat::Contiguous);
  const at::Tensor bias = weight.flip(0).mul_(3);
  const auto [expected, mean, invstd] = at::cpu::native_batch_norm(
      input, weight, bias, {}, {}, /*training=*/true, /*momentum=*/0.1, /*eps=*/1e-5);
  const RepeatedBatchNorm norm{input, weight, bias, mean, invstd};
  for (const bool in_loop : {false, true}) {
    if (in_loop && instruction_set() == InstructionSet::kBaseline) break;
    for (const bool in_beta : {false, true}) {
      const Fusion fusion{in_beta, in_loop};
      const at::Tensor found = apply(norm, *layout_of(input), fusion);
      if (memcmp(found.const_data_ptr(), expected.const_data_ptr(), found.nbytes()) == 0) {
        return fusion;
      }
    }
  }
  return std::nullopt;
}

template <class T>
std::optional<Fusion> fusion_of(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::kOuter: {
      static const std::optional<Fusion> outer = try_fusions<T>(ChannelOrder::kOuter);
      return outer;
    }
    case ChannelOrder::kInner: {
      static const std::optional<Fusion> inner = try_fusions<T>(ChannelOrder::kInner);
      return inner;
    }
    case ChannelOrder::kMatrix: {
      static const std::optional<Fusion> matrix = try_fusions<T>(ChannelOrder::kMatrix);
      return matrix;
    }
  }
  return std::nullopt;
}

std::optional<Fusion> fusion_of(at::ScalarType dtype, ChannelOrder order) {
  // What is tried is no part of what the caller differentiates.
  const at::AutoDispatchBelowADInplaceOrView guard;
  return dtype == at::kDouble ? fusion_of<double>(order) : fusion_of<float>(order);
}

bool is_plain(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && !at::isTensorSubclassLike(tensor);
}

}  // namespace

bool has_exact_loop(const RepeatedBatchNorm& norm) {
  const at::Tensor& input = norm.input;
  const at::ScalarType dtype = input.scalar_type();
  if (!is_plain(input) || input.dim() < 2 || input.numel() == 0) return false;
  if (dtype != at::kFloat && dtype != at::kDouble) return false;
  const auto is_one_per_channel = [&](const at::Tensor& tensor) {
    return is_plain(tensor) && tensor.scalar_type() == dtype && tensor.dim() == 1 &&
           tensor.numel() == input.size(1) && tensor.is_contiguous();
  };
  for (const at::Tensor* const statistic : {&norm.mean, &norm.invstd}) {
    if (!is_one_per_channel(*statistic)) return false;
  }
  for (const at::Tensor* const parameter : {&norm.weight, &norm.bias}) {
    if (parameter->defined() && !is_one_per_channel(*parameter)) return false;
  }
  const std::optional<Layout> layout = layout_of(input);
  return layout && fusion_of(dtype, layout->order);
}

at::Tensor repeated_batch_norm(const RepeatedBatchNorm& norm) {
  const std::optional<Layout> layout = layout_of(norm.input);
  TORCH_INTERNAL_ASSERT(layout);
  const std::optional<Fusion> fusion = fusion_of(norm.input.scalar_type(), layout->order);
  TORCH_INTERNAL_ASSERT(fusion);
  return apply(norm, *layout, *fusion);
}

}  // namespace invact::kernels::cpu
