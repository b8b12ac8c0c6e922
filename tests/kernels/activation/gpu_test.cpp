// The CUDA kernels: forward bit for bit with ATen's CUDA operators, bits and gradients against the
// CPU kernels, the edges that only exist there.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/gpu_device.h"
#include "tests/kernels/math/reference.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

class GpuTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { require_gpu(); }
  const OpCase& op() const { return op_cases()[GetParam()]; }
  /// Of an operator with a branch bit: they come first, in the order of references().
  const Reference& reference() const { return references()[GetParam()]; }
};

/// Operators that have a branch bit.
class BranchedGpuTest : public GpuTest {};

TEST_P(GpuTest, ForwardEqualsAtenBitForBitInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, kGpu)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor expected = op().aten(layout.tensor);
      const at::Tensor output = op().invact(layout.tensor.detach().requires_grad_());
      EXPECT_TRUE(same_bits(output, expected));
      EXPECT_EQ(output.strides(), expected.strides());
    }
  }
}

TEST_P(GpuTest, GradientEqualsAtensWithinTheBoundInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, kGpu)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const at::Tensor input = layout.tensor.detach().requires_grad_();
      const at::Tensor grad_output = normal(input.sizes(), dtype, kGpu);
      const at::Tensor found = gradient(op().invact(input), input, grad_output);
      const at::Tensor expected = gradient(op().aten(input), input, grad_output);
      if (found.numel() == 0) continue;
      const double largest = grad_output.abs().max().item<double>();
      const double error =
          (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
      EXPECT_LE(error, gradient_tolerance(op(), dtype, largest));
    }
  }
}

/// The acceptance thresholds of derivative_test.cpp, on f' as the device computes and rounds it (g
/// = 1).
TEST_P(BranchedGpuTest, DerivativeStaysWithinTheInformationLimit) {
  for (const auto& [type, dtype] : {std::pair(ElementType::kFloat32, at::kFloat),
                                    std::pair(ElementType::kBFloat16, at::kBFloat16),
                                    std::pair(ElementType::kFloat16, at::kHalf)}) {
    const Grid inputs = type == ElementType::kFloat32
                            ? float32_blocks(static_cast<double>(reference().minimum_x))
                            : all_codes(format_of(type));
    const at::Tensor input = at::tensor(inputs.x, at::kDouble).to(kGpu, dtype).requires_grad_();
    const at::Tensor found = gradient(op().invact(input), input, at::ones_like(input))
                                 .to(at::kCPU, at::kDouble)
                                 .contiguous();
    const StoredOutputs outputs = stored_outputs(reference(), inputs, format_of(type));
    const std::vector<double> derivative(found.const_data_ptr<double>(),
                                         found.const_data_ptr<double>() + found.numel());
    const ErrorSummary error = summarize(reference(), inputs, outputs, derivative);
    const Limit limit = information_limit(reference(), inputs, outputs);
    const AcceptanceThreshold threshold = acceptance_threshold(reference().name, type);
    std::printf("  %s rms %.3e (%.3f x limit), max %.3e\n", c10::toString(dtype), error.rms,
                error.rms / limit.rms, error.max);
    if (type == ElementType::kFloat32) {
      EXPECT_LE(error.max, threshold.own_forward_max);
      EXPECT_LE(error.rms, threshold.own_forward_rms);
    } else {
      // f' is read after its rounding to 16 bit here, which adds at most half an ulp of 1.13.
      const double rounding = type == ElementType::kBFloat16 ? 0x1p-8 : 0x1p-11;
      EXPECT_LE(error.rms, std::hypot(threshold.rms_factor * limit.rms, rounding));
      EXPECT_LE(error.max, threshold.max_factor * limit.half_width + rounding);
    }
  }
}

/// One byte per element, on the CPU: the bits of outputs up to zero. The places of the others may
/// carry the CPU's refinement codes.
at::Tensor branch_bits(const OpCase& op, const at::Tensor& input) {
  const SavedTensorRecorder recorder;
  const at::Tensor output = op.invact(input.detach().requires_grad_()).detach();
  const at::Tensor bytes = recorder.saved()[1].cpu().unsqueeze(1);
  const at::Tensor bits = bytes.bitwise_right_shift(at::arange(8, at::kByte)).bitwise_and(1);
  return bits.flatten().narrow(0, 0, input.numel()).mul(output.cpu().le(0));
}

TEST_P(BranchedGpuTest, BitsEqualTheCpusForEqualInputs) {
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor input = normal({100003}, dtype);
    EXPECT_TRUE(at::equal(branch_bits(op(), input), branch_bits(op(), input.to(kGpu)))) << dtype;
  }
}

/// Words of 32 bits, tiles of two 16-byte loads of a warp (256 elements of float32, 512 of 16 bit),
/// and what is left of them; aligned to 16 bytes and not.
TEST_P(BranchedGpuTest, HandlesEveryRestOfAWordAndOfATile) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t count :
         {1, 7, 8, 9, 31, 32, 33, 63, 65, 127, 129, 255, 256, 257, 511, 512, 513, 2047, 2049}) {
      for (const int64_t offset : {0, 1, 4}) {
        SCOPED_TRACE(std::to_string(count) + " from " + std::to_string(offset) + ", " +
                     c10::toString(dtype));
        const at::Tensor host = normal({offset + count}, dtype).slice(0, offset);
        const at::Tensor input = normal({offset + count}, dtype, kGpu).slice(0, offset);
        EXPECT_TRUE(at::equal(branch_bits(op(), host), branch_bits(op(), input)));
        const at::Tensor x = input.detach().requires_grad_();
        const at::Tensor grad_output = normal({count}, dtype, kGpu);
        const at::Tensor found = gradient(op().invact(x), x, grad_output);
        const at::Tensor expected = gradient(op().aten(x), x, grad_output);
        const double largest = grad_output.abs().max().item<double>();
        const double error =
            (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
        EXPECT_LE(error, gradient_tolerance(op(), dtype, largest));
      }
    }
  }
}

TEST_P(GpuTest, RunsOnTheCurrentStreamAndInAGraph) {
  // Backward runs on forward's stream, so both must be issued on the capturing one.
  const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
  const at::Tensor input = normal({4099}, at::kFloat, kGpu).requires_grad_();
  const at::Tensor grad_output = normal({4099}, at::kFloat, kGpu);
  const at::Tensor expected = gradient(op().invact(input), input, grad_output);
  at::cuda::CUDAGraph graph;
  at::Tensor captured;
  graph.capture_begin();
  captured = gradient(op().invact(input), input, grad_output);
  graph.capture_end();
  graph.replay();
  EXPECT_TRUE(same_bits(captured, expected));
}

TEST_P(GpuTest, MoreThanTwoToTheThirtyOneElements) {
  constexpr int64_t kCount = (int64_t{1} << 31) + 11;
  constexpr size_t kNeededBytes = size_t{24} << 30;
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  ASSERT_EQ(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
  if (free_bytes < kNeededBytes) GTEST_SKIP() << "needs 24 GiB of free device memory";
  const at::TensorOptions options = at::TensorOptions(kGpu).dtype(at::kHalf);
  const at::Tensor input = at::full({kCount}, -2.0, options).requires_grad_();
  const at::Tensor found = gradient(op().invact(input), input, at::ones({kCount}, options));
  const at::Tensor small = input.detach().slice(0, 0, 8).clone().requires_grad_();
  const at::Tensor expected = gradient(op().invact(small), small, at::ones_like(small));
  EXPECT_TRUE(same_bits(found.slice(0, kCount - 8), expected));
}

INSTANTIATE_TEST_SUITE_P(All, BranchedGpuTest, ::testing::ValuesIn(branched_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });
INSTANTIATE_TEST_SUITE_P(All, GpuTest, ::testing::Range(size_t{0}, op_cases().size()),
                         [](const auto& info) { return op_cases()[info.param].name; });

}  // namespace
}  // namespace invact::testing
