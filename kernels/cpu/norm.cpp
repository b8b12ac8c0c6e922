// CPU kernels of the norms: threads and the order of sums around the loops of norm_loops.h. Rows
// are divided into blocks by their number alone, and the blocks' sums are added in order, so that a
// gradient does not depend on the number of threads.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/dense_memory.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cpu/norm_loops.h"
#include "kernels/element_type_of.h"
#include "kernels/norm/norm_kernels.h"

namespace invact::kernels {
namespace {

/// So that the sums over blocks cost little beside the rows.
constexpr int64_t kLeastBlockRows = 32;
constexpr int64_t kMostBlocks = 64;

template <class Real>
constexpr at::ScalarType kCompute = std::is_same_v<Real, double> ? at::kDouble : at::kFloat;

/// Whether the loops convert between this dtype and Real.
template <class Real>
bool has_conversion(at::ScalarType dtype) {
  return compute_dtype(dtype) == kCompute<Real>;
}

/// The elements of a contiguous tensor as Real.
template <class Real>
void read(const at::Tensor& tensor, Real* to) {
  if (!has_conversion<Real>(tensor.scalar_type())) return read(tensor.to(kCompute<Real>), to);
  cpu::chosen_loop(&cpu::baseline::read_numbers, &cpu::avx2::read_numbers)(
      element_type_of(tensor), tensor.const_data_ptr(), to, tensor.numel());
}

/// Into a contiguous tensor, rounded to its dtype.
template <class Real>
void write(const Real* from, const at::Tensor& tensor) {
  if (!has_conversion<Real>(tensor.scalar_type())) {
    const at::Tensor computed = at::empty_like(tensor, tensor.options().dtype(kCompute<Real>));
    write(from, computed);
    tensor.copy_(computed);
    return;
  }
  cpu::chosen_loop(&cpu::baseline::write_numbers, &cpu::avx2::write_numbers)(
      element_type_of(tensor), from, tensor.mutable_data_ptr(), tensor.numel());
}

/// weight, 1 / weight and bias as rows of one padded tensor.
enum ParameterRow { kWeight, kInverse, kBias, kParameterRows };

template <class Real>
at::Tensor padded_parameters(const NormGradient& gradient, const at::TensorOptions& options) {
  at::Tensor rows = at::zeros({kParameterRows, cpu::padded(gradient.columns)}, options);
  Real* const first = rows.mutable_data_ptr<Real>();
  const auto row = [&](ParameterRow index) { return first + index * rows.size(1); };
  if (gradient.parameters.weight.defined()) {
    read(gradient.parameters.weight, row(kWeight));
  } else {
    std::fill_n(row(kWeight), gradient.columns, Real(1));
  }
  std::transform(row(kWeight), row(kWeight) + gradient.columns, row(kInverse),
                 [](Real weight) { return 1 / weight; });
  if (gradient.parameters.bias.defined()) read(gradient.parameters.bias, row(kBias));
  return rows;
}

/// Rows of one block, and how many blocks there are.
struct Partition {
  explicit Partition(int64_t rows)
      : block_rows(std::max(kLeastBlockRows, (rows + kMostBlocks - 1) / kMostBlocks)),
        blocks((rows + block_rows - 1) / block_rows) {}
  int64_t block_rows;
  int64_t blocks;
};

/// to[j] = sum over blocks of sums[block][which][j], times scale[j] where there is one. The first
/// block's sums are lost.
template <class Real>
void add_blocks(at::Tensor& sums, int64_t which, const Real* scale, const at::Tensor& to) {
  Real* const total = sums.mutable_data_ptr<Real>() + which * sums.size(2);
  constexpr int64_t kGrain = 4096;
  cpu::parallel_for(to.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t block = 1; block < sums.size(0); ++block) {
      const Real* const part = total + block * sums.size(1) * sums.size(2);
      for (int64_t j = begin; j < end; ++j) total[j] += part[j];
    }
    if (scale == nullptr) return;
    for (int64_t j = begin; j < end; ++j) total[j] *= scale[j];
  });
  write(total, to);
}

template <class Real>
void differentiate(const NormGradient& gradient) {
  const ElementType type = element_type_of(gradient.output);
  const at::TensorOptions options = gradient.output.options().dtype(kCompute<Real>);
  const at::Tensor rstd = gradient.rstd.scalar_type() == kCompute<Real>
                              ? gradient.rstd
                              : at::empty({gradient.rows}, options);
  if (!rstd.is_same(gradient.rstd)) read(gradient.rstd, rstd.mutable_data_ptr<Real>());
  const at::Tensor parameters =
      gradient.is_affine() ? padded_parameters<Real>(gradient, options) : at::Tensor();
  const auto parameter = [&](ParameterRow row) -> const Real* {
    if (!parameters.defined()) return nullptr;
    return parameters.const_data_ptr<Real>() + row * parameters.size(1);
  };
  const bool wants_sums = gradient.grad_weight.defined() || gradient.grad_bias.defined();
  const Partition partition(gradient.rows);
  constexpr int64_t kSums = 2;  // weight's and bias's
  const int64_t padded = cpu::padded(gradient.columns);
  at::Tensor sums =
      wants_sums ? at::empty({partition.blocks, kSums, padded}, options) : at::Tensor();
  const auto run_block = [&](int64_t block) {
    const int64_t first = block * partition.block_rows;
    const int64_t first_element = first * gradient.columns;
    Real* const block_sums =
        wants_sums ? sums.mutable_data_ptr<Real>() + block * kSums * padded : nullptr;
    const cpu::NormGradientArrays arrays{
        cpu::at_element(gradient.grad_output, first_element),
        cpu::at_element(gradient.output, first_element),
        rstd.const_data_ptr<Real>() + first,
        parameter(kWeight),
        parameter(kInverse),
        parameter(kBias),
        gradient.grad_input.defined() ? static_cast<char*>(gradient.grad_input.mutable_data_ptr()) +
                                            first_element * gradient.output.element_size()
                                      : nullptr,
        block_sums,
        wants_sums ? block_sums + padded : nullptr,
        std::min(partition.block_rows, gradient.rows - first),
        gradient.columns};
    cpu::chosen_loop(&cpu::baseline::norm_gradient, &cpu::avx2::norm_gradient)(
        type, gradient.is_centered, arrays);
  };
  const int64_t block_elements = partition.block_rows * gradient.columns;
  const int64_t grain = std::max<int64_t>(1, cpu::kGrainElements / block_elements);
  cpu::parallel_for(partition.blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) run_block(block);
  });
  if (gradient.grad_weight.defined()) {
    add_blocks<Real>(sums, 0, parameter(kInverse), gradient.grad_weight);
  }
  if (gradient.grad_bias.defined()) add_blocks<Real>(sums, 1, nullptr, gradient.grad_bias);
}

struct CpuNorms {
  static constexpr bool kTakesAnyDtype = true;

  static void backward(const NormGradient& gradient) {
    if (gradient.output.scalar_type() == at::kDouble) return differentiate<double>(gradient);
    differentiate<float>(gradient);
  }

  static bool recoverable(const NormParameters& parameters, double weight_offset,
                          at::ScalarType dtype) {
    // In their own dtype where both have one that the loops take, for the sake of small calls.
    const auto has_loop = [&](const at::Tensor& tensor) {
      if (!tensor.defined()) return true;
      const bool is_double = tensor.scalar_type() == at::kDouble;
      return tensor.is_contiguous() && is_double == (dtype == at::kDouble);
    };
    const bool is_one_dtype = !parameters.weight.defined() || !parameters.bias.defined() ||
                              parameters.weight.scalar_type() == parameters.bias.scalar_type();
    if (is_one_dtype && has_loop(parameters.weight) && has_loop(parameters.bias)) {
      return is_recoverable(parameters, weight_offset, dtype);
    }
    const NormParameters computed =
        computed_parameters(parameters, /*weight_offset=*/0, compute_dtype(dtype));
    return is_recoverable(computed, weight_offset, dtype);
  }

 private:
  static bool is_recoverable(const NormParameters& parameters, double weight_offset,
                             at::ScalarType dtype) {
    const at::Tensor& any = parameters.weight.defined() ? parameters.weight : parameters.bias;
    const auto address = [](const at::Tensor& tensor) {
      return tensor.defined() ? tensor.const_data_ptr() : nullptr;
    };
    return cpu::chosen_loop(&cpu::baseline::is_recoverable, &cpu::avx2::is_recoverable)(
        element_type_of(dtype), {element_type_of(any), address(parameters.weight),
                                 address(parameters.bias), weight_offset, any.numel()});
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, CPU, m) {
  NormKernels<CpuNorms>::register_in(m);
}

}  // namespace invact::kernels
