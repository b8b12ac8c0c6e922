// invact::batch_norm against ATen's: forward and running statistics bit for bit, gradients in every
// layout, what is saved, and where the input is saved instead.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kChannels = 6;

struct Arguments {
  std::string name;
  at::Tensor input;
  at::Tensor weight;  ///< Undefined: none.
  at::Tensor bias;
  at::Tensor mean;
  at::Tensor var;

  std::vector<at::Tensor> leaves() const {
    std::vector<at::Tensor> result = {input};
    if (weight.defined()) result.push_back(weight);
    if (bias.defined()) result.push_back(bias);
    return result;
  }
};

std::optional<at::Tensor> given(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

at::Tensor ours(const Arguments& arguments, bool training = true) {
  return invact::batch_norm(arguments.input, given(arguments.weight), given(arguments.bias),
                            arguments.mean, arguments.var, training);
}

at::Tensor atens(const Arguments& arguments, bool training = true) {
  return at::batch_norm(arguments.input, given(arguments.weight), given(arguments.bias),
                        arguments.mean, arguments.var, training, 0.1, 1e-5, true);
}

/// The same values in leaves of their own.
Arguments tracked(const Arguments& arguments) {
  const auto leaf = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.detach().requires_grad_() : tensor;
  };
  return {arguments.name,       leaf(arguments.input),  leaf(arguments.weight),
          leaf(arguments.bias), arguments.mean.clone(), arguments.var.clone()};
}

/// Weights of both signs, away from zero.
Arguments make(const std::string& name, const at::Tensor& input, bool is_affine = true) {
  const auto options =
      input.options().dtype(input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  Arguments arguments{
      name, input, {}, {}, at::zeros({kChannels}, options), at::ones({kChannels}, options)};
  if (is_affine) {
    arguments.weight = at::linspace(-1.5, 2, kChannels, options);
    arguments.bias = at::linspace(1, -0.5, kChannels, options);
  }
  return arguments;
}

std::vector<Arguments> layouts(at::ScalarType dtype) {
  const at::Tensor image = normal({3, kChannels, 5, 7}, dtype) * 2 + 1;
  return {make("rows", normal({40, kChannels}, dtype)),
          make("sequences", normal({4, kChannels, 9}, dtype)),
          make("images", image),
          make("channels last", image.contiguous(at::MemoryFormat::ChannelsLast)),
          make("transposed", image.transpose(2, 3)),
          make("volumes", normal({2, kChannels, 3, 4, 5}, dtype)),
          make("without parameters", image, /*is_affine=*/false)};
}

TEST(BatchNormFromOutputTest, ForwardAndRunningStatisticsEqualAtensBitForBit) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const Arguments& layout : layouts(dtype)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const Arguments ours_of = tracked(layout);
      const Arguments atens_of = tracked(layout);
      const at::Tensor expected = atens(atens_of);
      const at::Tensor output = ours(ours_of);
      EXPECT_TRUE(same_bits(output, expected));
      EXPECT_EQ(output.strides(), expected.strides());
      EXPECT_TRUE(same_bits(ours_of.mean, atens_of.mean));
      EXPECT_TRUE(same_bits(ours_of.var, atens_of.var));
    }
  }
}

TEST(BatchNormFromOutputTest, GradientsEqualAtensInEveryLayout) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const Arguments& layout : layouts(dtype)) {
      SCOPED_TRACE(layout.name + ", " + c10::toString(dtype));
      const auto gradients = [&](at::Tensor (*batch_norm)(const Arguments&, bool)) {
        const Arguments leaves = tracked(layout);
        const at::Tensor output = batch_norm(leaves, true);
        return torch::autograd::grad({output}, leaves.leaves(),
                                     {normal(output.sizes(), dtype).flip({0})});
      };
      const auto found = gradients(&ours);
      const auto expected = gradients(&atens);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].scalar_type(), expected[i].scalar_type());
        EXPECT_EQ(found[i].sizes(), expected[i].sizes());
        const double scale = expected[i].abs().max().item<double>();
        const at::Tensor difference = found[i].to(at::kDouble) - expected[i].to(at::kDouble);
        EXPECT_LE(difference.abs().max().item<double>(), scale * norm_gradient_agreement(dtype))
            << "gradient " << i;
      }
    }
  }
}

TEST(BatchNormFromOutputTest, SavesItsOutputAndANumberPerChannel) {
  const Arguments leaves = tracked(layouts(at::kFloat)[2]);
  const SavedTensorRecorder recorder;
  const at::Tensor output = ours(leaves);
  ASSERT_EQ(recorder.saved().size(), 4u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
  EXPECT_EQ(recorder.saved()[1].storage().nbytes(), kChannels * sizeof(float));
  EXPECT_TRUE(recorder.saved()[2].is_alias_of(leaves.weight));
  EXPECT_TRUE(recorder.saved()[3].is_alias_of(leaves.bias));
}

bool saves_input(const Arguments& leaves, bool training = true) {
  const SavedTensorRecorder recorder;
  const at::Tensor output = ours(leaves, training);
  return std::ranges::any_of(recorder.saved(), [&leaves](const at::Tensor& saved) {
    return saved.is_alias_of(leaves.input);
  });
}

TEST(BatchNormFromOutputTest, AWeightOfZeroSavesTheInput) {
  Arguments arguments = layouts(at::kFloat)[2];
  EXPECT_FALSE(saves_input(tracked(arguments)));
  arguments.weight[2] = 0;  // as models that start at the identity have it
  const Arguments leaves = tracked(arguments);
  EXPECT_TRUE(saves_input(leaves));
  const auto expected = torch::autograd::grad({atens(leaves).sum()}, leaves.leaves());
  const auto found = torch::autograd::grad({ours(leaves).sum()}, leaves.leaves());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(same_bits(found[i], expected[i]));
}

TEST(BatchNormFromOutputTest, OutsideTrainingItIsAtens) {
  const Arguments leaves = tracked(layouts(at::kFloat)[2]);
  EXPECT_TRUE(saves_input(leaves, /*training=*/false));
  EXPECT_TRUE(same_bits(ours(leaves, false), atens(leaves, false)));
  const at::NoGradGuard no_grad;
  const SavedTensorRecorder recorder;
  EXPECT_FALSE(ours(leaves).requires_grad());
  EXPECT_THAT(recorder.saved(), ::testing::IsEmpty());
}

TEST(BatchNormFromOutputTest, AFrozenInputStillHasTheParametersGradients) {
  Arguments leaves = tracked(layouts(at::kFloat)[2]);
  leaves.input = leaves.input.detach();
  const std::vector<at::Tensor> parameters = {leaves.weight, leaves.bias};
  const at::Tensor grad_output = normal(leaves.input.sizes(), at::kFloat);
  const auto found = torch::autograd::grad({ours(leaves)}, parameters, {grad_output});
  const auto expected = torch::autograd::grad({atens(leaves)}, parameters, {grad_output});
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-4, 1e-4));
  }
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(BatchNormFromOutputTest, DifferentiatingTheGradientIsRefused) {
  const Arguments leaves = tracked(layouts(at::kFloat)[2]);
  const auto gradient = torch::autograd::grad({ours(leaves).sum()}, {leaves.input}, {},
                                              /*retain_graph=*/true, /*create_graph=*/true);
  EXPECT_THAT(error_of([&] { gradient[0].sum().backward(); }),
              HasSubstr("invact::batch_norm: double backward is not supported"));
}

TEST(BatchNormFromOutputTest, WritingTheOutputIsNoticed) {
  const Arguments leaves = tracked(layouts(at::kFloat)[2]);
  at::Tensor output = ours(leaves);
  const at::Tensor loss = output.sum();
  output.mul_(2);
  EXPECT_THAT(error_of([&] { loss.backward(); }), HasSubstr("modified by an inplace operation"));
}

}  // namespace
}  // namespace invact::testing
