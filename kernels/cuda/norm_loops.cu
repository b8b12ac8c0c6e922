// Definitions of norm_loops.h. A row belongs to one block of threads; the sums over rows go through
// partial sums of a fixed division of the rows and are added in one order: no atomics.
#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/cuda/element_type.cuh"
#include "kernels/cuda/norm_loops.h"
#include "kernels/math/norm_recovery.h"

namespace invact::kernels::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kRowThreads = 256;
/// Columns and rows of the threads that sum columns.
constexpr int kTileColumns = 32;
constexpr int kTileRows = 8;
constexpr int kTileThreads = kTileColumns * kTileRows;
constexpr int64_t kLeastBlockRows = 32;
constexpr int64_t kMostRowBlocks = 64;
constexpr int64_t kMostGrid = 1 << 16;

template <class Real>
struct Pair {
  Real gradient;
  Real product;
};

template <class Real>
__device__ Pair<Real> warp_sum(Pair<Real> v) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    v.gradient += __shfl_xor_sync(0xffffffffu, v.gradient, distance);
    v.product += __shfl_xor_sync(0xffffffffu, v.product, distance);
  }
  return v;
}

/// The sum over the block, in every thread.
template <class Real>
__device__ Pair<Real> block_sum(Pair<Real> v) {
  __shared__ Pair<Real> parts[kRowThreads / kWarp];
  v = warp_sum(v);
  __syncthreads();  // the last row's parts have been read
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = v;
  __syncthreads();
  Pair<Real> sum{0, 0};
  for (const Pair<Real>& part : parts) {
    sum.gradient += part.gradient;
    sum.product += part.product;
  }
  return sum;
}

/// A column's numbers for the elements in it.
template <class Real>
struct Column {
  Real weight;
  Real bias;
};

template <class Real>
__device__ Column<Real> column_at(const Real* weight, const Real* bias, int64_t j) {
  return {weight == nullptr ? Real(1) : weight[j], bias == nullptr ? Real(0) : bias[j]};
}

/// grad_input = rstd (g w - mean(g w) - x_hat mean(g w x_hat)), a row at a time.
template <bool kCentered, class T, class Real>
__global__ void __launch_bounds__(kRowThreads)
    input_kernel(const T* grad_output, const T* output, const Real* rstd, const Real* weight,
                 const Real* bias, T* grad_input, int64_t rows, int64_t columns) {
  const Real scale = Real(1) / static_cast<Real>(columns);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* const g = grad_output + row * columns;
    const T* const y = output + row * columns;
    Pair<Real> sums{0, 0};
    for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) {
      const Column<Real> column = column_at(weight, bias, j);
      const Real gradient = to_compute(g[j]);
      sums.gradient += gradient * column.weight;
      sums.product += gradient * (to_compute(y[j]) - column.bias);
    }
    sums = block_sum(sums);
    const Real mean_gradient = kCentered ? sums.gradient * scale : Real(0);
    const Real mean_product = sums.product * scale;
    for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) {
      const Column<Real> column = column_at(weight, bias, j);
      const Real x_hat = (to_compute(y[j]) - column.bias) / column.weight;
      const Real centered = to_compute(g[j]) * column.weight - mean_gradient;
      from_compute(rstd[row] * (centered - x_hat * mean_product), grad_input + row * columns + j);
    }
  }
}

/// Sums over one block of rows: of g (y - b), and of g.
template <class T, class Real>
__global__ void __launch_bounds__(kTileThreads)
    partial_sums_kernel(const T* grad_output, const T* output, const Real* bias, Real* partial_sums,
                        int64_t rows, int64_t columns, int64_t block_rows) {
  __shared__ Pair<Real> parts[kTileRows][kTileColumns];
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kTileColumns + threadIdx.x;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * block_rows;
  const int64_t end = first + block_rows < rows ? first + block_rows : rows;
  Pair<Real> sums{0, 0};
  if (j < columns) {
    const Real b = bias == nullptr ? Real(0) : bias[j];
    for (int64_t row = first + threadIdx.y; row < end; row += kTileRows) {
      const Real gradient = to_compute(grad_output[row * columns + j]);
      sums.gradient += gradient;
      sums.product += gradient * (to_compute(output[row * columns + j]) - b);
    }
  }
  parts[threadIdx.y][threadIdx.x] = sums;
  __syncthreads();
  if (threadIdx.y != 0 || j >= columns) return;
  for (int i = 1; i < kTileRows; ++i) {
    sums.gradient += parts[i][threadIdx.x].gradient;
    sums.product += parts[i][threadIdx.x].product;
  }
  Real* const to = partial_sums + static_cast<int64_t>(blockIdx.y) * 2 * columns;
  to[j] = sums.product;
  to[columns + j] = sums.gradient;
}

template <class Real>
__global__ void __launch_bounds__(kRowThreads)
    add_blocks_kernel(const Real* partial_sums, const Real* weight, Real* grad_weight,
                      Real* grad_bias, int64_t blocks, int64_t columns) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (j >= columns) return;
  Pair<Real> sums{0, 0};
  for (int64_t block = 0; block < blocks; ++block) {
    sums.product += partial_sums[block * 2 * columns + j];
    sums.gradient += partial_sums[(block * 2 + 1) * columns + j];
  }
  if (grad_weight != nullptr) grad_weight[j] = sums.product / weight[j];
  if (grad_bias != nullptr) grad_bias[j] = sums.gradient;
}

template <class Real>
__global__ void __launch_bounds__(kRowThreads)
    recoverable_kernel(math::RecoveryLimits<Real> limits, const Real* weight, const Real* bias,
                       Real inverse_largest_x_hat, int64_t columns, uint8_t* answer) {
  int all = 1;
  for (int64_t j = threadIdx.x; j < columns; j += kRowThreads) {
    const Column<Real> column = column_at(weight, bias, j);
    if (!math::is_recoverable(column.weight, column.bias, inverse_largest_x_hat, limits)) all = 0;
  }
  all = __syncthreads_and(all);
  if (threadIdx.x == 0) *answer = all != 0 ? 1 : 0;
}

int64_t block_rows_of(int64_t rows) {
  return std::max(kLeastBlockRows, (rows + kMostRowBlocks - 1) / kMostRowBlocks);
}

unsigned quotient_up(int64_t count, int64_t divisor) {
  return static_cast<unsigned>((count + divisor - 1) / divisor);
}

template <class T, class Real>
void gradient_typed(bool is_centered, const NormGradientArrays& arrays, cudaStream_t stream) {
  const T* const grad_output = static_cast<const T*>(arrays.grad_output);
  const T* const output = static_cast<const T*>(arrays.output);
  const Real* const weight = static_cast<const Real*>(arrays.weight);
  const Real* const bias = static_cast<const Real*>(arrays.bias);
  if (arrays.grad_input != nullptr) {
    const auto kernel = is_centered ? input_kernel<true, T, Real> : input_kernel<false, T, Real>;
    const auto grid = static_cast<unsigned>(std::min(arrays.rows, kMostGrid));
    kernel<<<grid, kRowThreads, 0, stream>>>(
        grad_output, output, static_cast<const Real*>(arrays.rstd), weight, bias,
        static_cast<T*>(arrays.grad_input), arrays.rows, arrays.columns);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  if (arrays.partial_sums == nullptr) return;
  Real* const partial_sums = static_cast<Real*>(arrays.partial_sums);
  const int64_t blocks = norm_row_blocks(arrays.rows);
  const dim3 tiles(quotient_up(arrays.columns, kTileColumns), static_cast<unsigned>(blocks));
  partial_sums_kernel<T, Real><<<tiles, dim3(kTileColumns, kTileRows), 0, stream>>>(
      grad_output, output, bias, partial_sums, arrays.rows, arrays.columns,
      block_rows_of(arrays.rows));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  add_blocks_kernel<Real><<<quotient_up(arrays.columns, kRowThreads), kRowThreads, 0, stream>>>(
      partial_sums, weight, static_cast<Real*>(arrays.grad_weight),
      static_cast<Real*>(arrays.grad_bias), blocks, arrays.columns);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <class Real>
void recoverable_typed(const math::RecoveryLimits<Real>& limits, const void* weight,
                       const void* bias, int64_t columns, uint8_t* answer, cudaStream_t stream) {
  recoverable_kernel<Real><<<1, kRowThreads, 0, stream>>>(
      limits, static_cast<const Real*>(weight), static_cast<const Real*>(bias),
      1 / std::sqrt(static_cast<Real>(columns)), columns, answer);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

int64_t norm_row_blocks(int64_t rows) {
  return quotient_up(rows, block_rows_of(rows));
}

void launch_norm_gradient(ElementType type, bool is_centered, const NormGradientArrays& arrays,
                          cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return gradient_typed<double, double>(is_centered, arrays, stream);
    case ElementType::kFloat32:
      return gradient_typed<float, float>(is_centered, arrays, stream);
    case ElementType::kBFloat16:
      return gradient_typed<__nv_bfloat16, float>(is_centered, arrays, stream);
    case ElementType::kFloat16:
      return gradient_typed<__half, float>(is_centered, arrays, stream);
  }
}

void launch_is_recoverable(ElementType type, const void* weight, const void* bias, int64_t columns,
                           uint8_t* answer, cudaStream_t stream) {
  switch (type) {
    case ElementType::kFloat64:
      return recoverable_typed(math::kFloat64Recovery, weight, bias, columns, answer, stream);
    case ElementType::kFloat32:
      return recoverable_typed(math::kFloat32Recovery, weight, bias, columns, answer, stream);
    case ElementType::kBFloat16:
      return recoverable_typed(math::kBFloat16Recovery, weight, bias, columns, answer, stream);
    case ElementType::kFloat16:
      return recoverable_typed(math::kFloat16Recovery, weight, bias, columns, answer, stream);
  }
}

}  // namespace invact::kernels::cuda
