// Norms and dropout on a GPU: forward bit for bit with ATen's CUDA operators, gradients against
// float64, the cached answer about weights, random numbers as ATen draws them, graphs.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <gtest/gtest.h>

#include <array>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/gpu_device.h"
#include "tests/kernels/norm/norm_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

NormInputs on_gpu(NormInputs inputs) {
  for (at::Tensor* tensor : {&inputs.input, &inputs.weight, &inputs.bias}) {
    if (tensor->defined()) *tensor = tensor->to(kGpu);
  }
  return inputs;
}

class GpuNormTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { require_gpu(); }
  const NormCase& norm() const { return norm_cases()[GetParam()]; }
};

TEST_P(GpuNormTest, ForwardEqualsAtenAndGradientsAreNearFloat64) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const NormInputs& layout : norm_layouts(dtype, norm().has_bias)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const NormInputs tracked = on_gpu(layout).tracked();
      const at::Tensor output = call(norm().invact, tracked);
      EXPECT_TRUE(same_bits(output, call(norm().aten, tracked)));
      if (output.numel() == 0 || layout.normalized_shape == std::vector<int64_t>{1}) continue;
      const at::Tensor grad_output = normal(output.sizes(), dtype, kGpu).flip({0});
      const NormInputs exact = tracked.to(at::kDouble).tracked();
      const auto found = norm_gradients(output, tracked, grad_output);
      const auto expected =
          norm_gradients(call(norm().aten, exact), exact, grad_output.to(at::kDouble));
      for (size_t i = 0; i < found.size(); ++i) {
        if (!found[i].defined()) continue;
        EXPECT_LE(relative_distance(found[i], expected[i]), norm_gradient_agreement(dtype)) << i;
      }
    }
  }
}

TEST_P(GpuNormTest, GradientsRepeatBitForBit) {
  const NormInputs tracked =
      on_gpu(norm_inputs({5003, 257}, 1, at::kFloat, true, norm().has_bias)).tracked();
  const at::Tensor output = call(norm().invact, tracked);
  const at::Tensor grad_output = normal({5003, 257}, at::kFloat, kGpu);
  expect_same_gradients(norm_gradients(output, tracked, grad_output),
                        norm_gradients(output, tracked, grad_output));
}

TEST_P(GpuNormTest, ChangedWeightsAreSeen) {
  const NormInputs tracked =
      on_gpu(norm_inputs({6, 24}, 1, at::kFloat, true, norm().has_bias)).tracked();
  const auto saves_output = [&] {
    const SavedTensorRecorder recorder;
    const at::Tensor output = call(norm().invact, tracked);
    return recorder.saved()[0].is_alias_of(output);
  };
  EXPECT_TRUE(saves_output());
  EXPECT_TRUE(saves_output());
  const at::Tensor before = tracked.weight.detach().clone();
  tracked.weight.detach().select(0, 3).zero_();
  EXPECT_FALSE(saves_output());
  tracked.weight.detach().copy_(before);
  EXPECT_TRUE(saves_output());
}

TEST_P(GpuNormTest, RunsInAGraph) {
  const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool());
  const NormInputs tracked =
      on_gpu(norm_inputs({40, 64}, 1, at::kFloat, true, norm().has_bias)).tracked();
  const at::Tensor grad_output = normal({40, 64}, at::kFloat, kGpu);
  const auto expected = norm_gradients(call(norm().invact, tracked), tracked, grad_output);
  at::cuda::CUDAGraph graph;
  graph.capture_begin();
  const auto captured = norm_gradients(call(norm().invact, tracked), tracked, grad_output);
  graph.capture_end();
  graph.replay();
  EXPECT_TRUE(same_bits(captured[0], expected[0]));
  EXPECT_TRUE(same_bits(captured[1], expected[1]));
}

INSTANTIATE_TEST_SUITE_P(All, GpuNormTest, ::testing::Range(size_t{0}, norm_cases().size()),
                         [](const auto& info) { return norm_cases()[info.param].name; });

class GpuDropoutTest : public ::testing::Test {
 protected:
  void SetUp() override { require_gpu(); }
};

TEST_F(GpuDropoutTest, EqualsAtensWithTheSameSeedInEveryLayout) {
  const auto run = [](const auto& dropout, const at::Tensor& input) {
    at::manual_seed(5);
    const at::Tensor tracked = input.detach().requires_grad_();
    const at::Tensor output = dropout(tracked);
    const at::Tensor next = at::rand({4}, at::TensorOptions(kGpu));
    return std::array{output, gradient(output, tracked, input.neg()), next};
  };
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, kGpu)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const auto ours =
          run([](const at::Tensor& x) { return invact::dropout(x, 0.3, true); }, layout.tensor);
      const auto atens =
          run([](const at::Tensor& x) { return at::dropout(x, 0.3, true); }, layout.tensor);
      for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(same_bits(ours[i], atens[i])) << i;
      const auto in_place = [&](const auto& dropout_) {
        return run(
            [&](const at::Tensor& x) {
              at::Tensor copy = x * 1;
              return dropout_(copy);
            },
            layout.tensor);
      };
      const auto ours_ = in_place([](at::Tensor& x) { return invact::dropout_(x, 0.3, true); });
      const auto atens_ = in_place([](at::Tensor& x) { return at::dropout_(x, 0.3, true); });
      for (size_t i = 0; i < ours_.size(); ++i) EXPECT_TRUE(same_bits(ours_[i], atens_[i])) << i;
    }
  }
}

TEST_F(GpuDropoutTest, SavesOneBitPerElement) {
  const at::Tensor input = normal({1001}, at::kHalf, kGpu).requires_grad_();
  const SavedTensorRecorder recorder;
  invact::dropout(input, 0.3, true);
  ASSERT_EQ(recorder.saved().size(), 1u);
  EXPECT_EQ(recorder.saved()[0].storage().nbytes(), size_t{126});
}

}  // namespace
}  // namespace invact::testing
