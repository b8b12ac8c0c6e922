// layer_norm_transposed: layer_norm's values and gradients, in the layout that the next layer
// reads.
#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/norm/norm_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

at::Tensor transposed(const NormInputs& inputs, int64_t dim0, int64_t dim1) {
  return layer_norm_transposed(inputs.input, c10::fromIntArrayRefSlow(inputs.normalized_shape),
                               inputs.given_weight(), inputs.given_bias(), 1e-5, true, dim0, dim1);
}

at::Tensor plain(const NormInputs& inputs) {
  return layer_norm(inputs.input, c10::fromIntArrayRefSlow(inputs.normalized_shape),
                    inputs.given_weight(), inputs.given_bias());
}

TEST(LayerNormTransposedTest, ValuesAndGradientsAreLayerNorms) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const NormInputs& layout : norm_layouts(dtype, /*has_bias=*/true)) {
      if (layout.input.dim() < 2) continue;
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      for (const auto& [dim0, dim1] : {std::pair{0, 1}, {-1, -2}}) {
        const NormInputs ours = layout.tracked();
        const NormInputs theirs = layout.tracked();
        const at::Tensor output = transposed(ours, dim0, dim1);
        const at::Tensor expected = plain(theirs);
        EXPECT_TRUE(same_bits(output, expected));
        EXPECT_TRUE(output.transpose(dim0, dim1).is_contiguous());
        const at::Tensor grad_output = normal(output.sizes(), output.scalar_type());
        expect_same_gradients(norm_gradients(output, ours, grad_output),
                              norm_gradients(expected, theirs, grad_output));
      }
    }
  }
}

TEST(LayerNormTransposedTest, WhatItSavesIsWhatALinearBehindTheTransposeSaves) {
  const NormInputs inputs = norm_inputs({3, 5, 8}, 1, at::kFloat).tracked();
  const at::Tensor weight = normal({4, 8}, at::kFloat).requires_grad_();
  const SavedTensorRecorder recorder;
  const at::Tensor output = transposed(inputs, 0, 1);
  ASSERT_EQ(recorder.saved().size(), 4u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
  EXPECT_EQ(recorder.saved()[0].storage().nbytes(), size_t{3 * 5 * 8} * sizeof(float));
  at::linear(output.transpose(0, 1), weight);
  ASSERT_EQ(recorder.saved().size(), 6u);
  EXPECT_TRUE(recorder.saved()[4].is_alias_of(output) || recorder.saved()[5].is_alias_of(output));
}

TEST(LayerNormTransposedTest, WithoutNeedItIsAtensOwn) {
  const NormInputs inputs = norm_inputs({3, 5, 8}, 1, at::kFloat);
  const SavedTensorRecorder recorder;
  EXPECT_TRUE(transposed(inputs, 0, 1).is_contiguous());
  {
    const at::NoGradGuard guard;
    EXPECT_FALSE(transposed(inputs.tracked(), 0, 1).requires_grad());
  }
  EXPECT_TRUE(recorder.saved().empty());
  NormInputs hidden = inputs.tracked();
  hidden.weight = at::zeros_like(hidden.weight).requires_grad_();
  EXPECT_TRUE(same_bits(transposed(hidden, 0, 1), plain(hidden)));
}

TEST(LayerNormTransposedTest, WrongDimensionsRaise) {
  const NormInputs inputs = norm_inputs({3, 5, 8}, 1, at::kFloat).tracked();
  EXPECT_THROW(transposed(inputs, 0, 3), c10::Error);
}

TEST(LayerNormTransposedTest, DoubleBackwardRaisesByName) {
  const NormInputs inputs = norm_inputs({3, 5, 8}, 1, at::kFloat).tracked();
  const at::Tensor output = transposed(inputs, 0, 1);
  const auto gradient = torch::autograd::grad({output.sum()}, {inputs.input}, {}, true, true);
  try {
    gradient[0].sum().backward();
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("invact::layer_norm_transposed"), std::string::npos);
  }
}

}  // namespace
}  // namespace invact::testing
