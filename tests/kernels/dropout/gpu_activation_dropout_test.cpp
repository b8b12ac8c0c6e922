// Dropout of an activation on a GPU: forward and random numbers bit for bit with ATen's CUDA pair,
// gradients within the bound, storages, graphs.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/dropout/dropout_cases.h"
#include "tests/kernels/gpu_device.h"
#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {
namespace {

struct Result {
  at::Tensor output;
  at::Tensor gradient;
  at::Tensor next;
};

template <class Operator>
Result run(const Operator& operation, const at::Tensor& input, const at::Tensor& grad_output) {
  at::manual_seed(5);
  const at::Tensor tracked = input.detach().requires_grad_();
  const at::Tensor output = operation(tracked);
  const at::Tensor next = at::rand({4}, at::TensorOptions(kGpu));
  return {output.detach(), gradient(output, tracked, grad_output), next};
}

class GpuActivationDropoutTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { require_gpu(); }
  const FusedCase& fused() const { return fused_cases()[GetParam()]; }
  Result ours(const at::Tensor& x, const at::Tensor& grad_output, double p) const {
    return run([&](const at::Tensor& t) { return fused().invact(t, p, true); }, x, grad_output);
  }
  Result atens(const at::Tensor& x, const at::Tensor& grad_output, double p) const {
    return run([&](const at::Tensor& t) { return fused().aten(t, p); }, x, grad_output);
  }
};

TEST_P(GpuActivationDropoutTest, EqualsAtensPairWithTheSameSeedInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, kGpu)) {
      for (const double p : {0.1, 0.45}) {
        SCOPED_TRACE(layout.name + ", " + c10::toString(dtype) + ", p = " + std::to_string(p));
        const at::Tensor grad_output = normal(layout.tensor.sizes(), dtype, kGpu).neg();
        const Result found = ours(layout.tensor, grad_output, p);
        const Result expected = atens(layout.tensor, grad_output, p);
        ASSERT_TRUE(same_bits(found.output, expected.output));
        EXPECT_EQ(found.output.strides(), expected.output.strides());
        EXPECT_TRUE(same_bits(found.next, expected.next));
        if (layout.tensor.numel() == 0) continue;
        const at::Tensor difference =
            (found.gradient - expected.gradient)
                .abs()
                .masked_fill(beside_jump(fused(), layout.tensor, found.output, p), 0);
        const double largest =
            grad_output.abs().max().item<double>() * dropout_factor(layout.tensor.options(), p);
        EXPECT_LE(difference.max().item<double>(), fused_tolerance(fused(), dtype, largest));
      }
    }
  }
}

TEST_P(GpuActivationDropoutTest, WithHalfDroppedTheGradientIsThatOfTwoOperators) {
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor x = normal({20011}, dtype, kGpu);
    const Result pair =
        run([&](const at::Tensor& t) { return invact::dropout(fused().op().invact(t), 0.5, true); },
            x, x);
    EXPECT_TRUE(at::equal(ours(x, x, 0.5).gradient, pair.gradient)) << dtype;
  }
}

TEST_P(GpuActivationDropoutTest, FiniteInputsHaveFiniteGradientsWhateverOverflows) {
  const at::Tensor x =
      at::tensor({65504.0, -65504.0, 6e4, -6e4, 40.0, -40.0, 0.0, -0.0, 1e-7}, at::kDouble)
          .to(kGpu, at::kHalf)
          .repeat({100});
  EXPECT_TRUE(ours(x, at::ones_like(x), 0.999).gradient.isfinite().all().item<bool>());
  EXPECT_TRUE(ours(x, at::ones_like(x), 0.3).gradient.isfinite().all().item<bool>());
}

TEST_P(GpuActivationDropoutTest, SavesTheOutputsStorageAndItsBits) {
  const at::Tensor input = normal({1001}, at::kHalf, kGpu).requires_grad_();
  const SavedTensorRecorder recorder;
  const at::Tensor output = fused().invact(input, 0.3, true);
  const auto& saved = recorder.saved();
  ASSERT_EQ(saved.size(), fused().op().has_branch_bit() ? 3u : 2u);
  EXPECT_TRUE(saved[0].is_alias_of(output));
  for (size_t i = 1; i < saved.size(); ++i) EXPECT_EQ(saved[i].storage().nbytes(), size_t{126});
}

TEST_P(GpuActivationDropoutTest, BackwardRunsInAGraph) {
  const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
  const at::Tensor input = normal({4099}, at::kFloat, kGpu).requires_grad_();
  const at::Tensor grad_output = normal({4099}, at::kFloat, kGpu);
  const at::Tensor output = fused().invact(input, 0.3, true);
  const at::Tensor expected = gradient(output, input, grad_output);
  at::cuda::CUDAGraph graph;
  graph.capture_begin();
  const at::Tensor captured = gradient(output, input, grad_output);
  graph.capture_end();
  graph.replay();
  EXPECT_TRUE(same_bits(captured, expected));
}

INSTANTIATE_TEST_SUITE_P(All, GpuActivationDropoutTest,
                         ::testing::Range(size_t{0}, fused_cases().size()),
                         [](const auto& info) { return fused_cases()[info.param].name; });

}  // namespace
}  // namespace invact::testing
