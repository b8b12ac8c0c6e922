// A batch norm that runs again with the statistics of its first run: the bits of aten::batch_norm,
// forward and backward, and no more saved.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <optional>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/recompute/recompute_models.h"

namespace invact::testing {
namespace {

constexpr double kMomentum = 0.1;
constexpr double kEps = 1e-3;

using ::testing::ElementsAre;
using BatchNormTest = OneThread;
using OptionalTensor = std::optional<at::Tensor>;

struct Arguments {
  at::Tensor input;
  OptionalTensor weight = std::nullopt;
  OptionalTensor bias = std::nullopt;
  OptionalTensor running_mean = std::nullopt;
  OptionalTensor running_var = std::nullopt;
  bool training = true;
};

struct FirstRun {
  at::Tensor output;
  at::Tensor first;
  at::Tensor second;
};

FirstRun forward(const Arguments& a) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("invact::_batch_norm_forward", "");
  torch::jit::Stack stack = {a.input,   a.weight, a.bias, a.running_mean, a.running_var, a.training,
                             kMomentum, kEps,     true};
  op.callBoxed(stack);
  return {stack[0].toTensor(), stack[1].toTensor(), stack[2].toTensor()};
}

at::Tensor again(const Arguments& a, const FirstRun& saved) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("invact::_batch_norm_again", "");
  torch::jit::Stack stack = {a.input,    a.weight,  a.bias, saved.first, saved.second,
                             a.training, kMomentum, kEps,   true};
  op.callBoxed(stack);
  return stack[0].toTensor();
}

at::Tensor aten(const Arguments& a) {
  return at::batch_norm(a.input, a.weight, a.bias, a.running_mean, a.running_var, a.training,
                        kMomentum, kEps, /*cudnn_enabled=*/true);
}

OptionalTensor copy(const OptionalTensor& tensor) {
  if (!tensor) return std::nullopt;
  return leaf(tensor->clone());
}

Arguments copy(const Arguments& a) {
  Arguments result{leaf(a.input), copy(a.weight), copy(a.bias), {}, {}, a.training};
  if (a.running_mean) result.running_mean = a.running_mean->clone();
  if (a.running_var) result.running_var = a.running_var->clone();
  return result;
}

std::vector<at::Tensor> leaves(const Arguments& a) {
  std::vector<at::Tensor> result = {a.input};
  if (a.weight) result.push_back(*a.weight);
  if (a.bias) result.push_back(*a.bias);
  return result;
}

/// Where both are NaN, which NaN it is depends on an order of operands that compilers choose.
bool same_numbers(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.strides() == b.strides() &&
         at::isnan(a).equal(at::isnan(b)) && same_bits(at::nan_to_num(a), at::nan_to_num(b));
}

/// Output, what is saved, running statistics and gradients, of first and second order.
void expect_aten(const Arguments& arguments) {
  const Arguments plain = copy(arguments);
  const Arguments ours = copy(arguments);
  const at::Tensor expected = aten(plain);
  FirstRun saved;
  {
    const at::NoGradGuard no_grad;
    saved = forward(ours);
    EXPECT_TRUE(same_numbers(saved.output, expected.detach()));
    EXPECT_TRUE(same_numbers(again(ours, saved), expected.detach()));
  }
  const at::Tensor found = again(ours, saved);
  EXPECT_TRUE(same_numbers(found.detach(), expected.detach()));
  if (plain.running_mean) {
    EXPECT_TRUE(same_numbers(*ours.running_mean, *plain.running_mean));
    EXPECT_TRUE(same_numbers(*ours.running_var, *plain.running_var));
  }
  if (arguments.input.numel() == 0) return;
  const at::Tensor grad = normal(expected.sizes(), expected.scalar_type());
  const auto gradients = [&](const at::Tensor& output, const Arguments& a) {
    const auto first = torch::autograd::grad({output}, leaves(a), {grad}, /*retain_graph=*/true,
                                             /*create_graph=*/true);
    auto all = first;
    for (const at::Tensor& second :
         torch::autograd::grad({(first[0] * grad).sum()}, {a.input}, {}, /*retain_graph=*/true)) {
      all.push_back(second);
    }
    return all;
  };
  const std::vector<at::Tensor> wanted = gradients(expected, plain);
  const std::vector<at::Tensor> given = gradients(found, ours);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_TRUE(same_numbers(given[i].detach(), wanted[i].detach())) << "gradient " << i;
  }
}

Arguments make_arguments(const at::Tensor& input, at::ScalarType parameters, int variant) {
  const int64_t channels = input.size(1);
  Arguments a{input};
  if (variant % 2 == 0) a.weight = normal({channels}, parameters);
  if (variant % 4 < 2) a.bias = normal({channels}, parameters) - 0.5;
  a.running_mean = normal({channels}, parameters);
  a.running_var = normal({channels}, parameters).abs();
  return a;
}

std::vector<at::Tensor> inputs_of(int64_t n, int64_t channels, int64_t size, at::ScalarType dtype) {
  const at::Tensor image = normal({n, channels, size, size % 7 + 1}, dtype) + 0.5;
  return {image,
          image.contiguous(at::MemoryFormat::ChannelsLast),
          image.transpose(2, 3),
          normal({n, channels}, dtype),
          normal({n, channels, size}, dtype),
          normal({n, channels, 2, size, 3}, dtype),
          normal({n, channels, 2, size, 3}, dtype).contiguous(at::MemoryFormat::ChannelsLast3d)};
}

TEST_F(BatchNormTest, AgainHasTheBitsOfTheFirstTime) {
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const at::ScalarType dtype : kDtypes) {
      int variant = 0;
      for (const int64_t n : {1, 2, 5}) {
        for (const int64_t channels : {1, 16, 67}) {
          for (const int64_t size : {1, 5, 33}) {
            for (const at::Tensor& input : inputs_of(n, channels, size, dtype)) {
              if (input.numel() == channels) continue;  // ATen's running variance divides by zero
              SCOPED_TRACE(c10::str(dtype, input.sizes(), input.strides(), threads));
              const bool is_mixed = dtype != at::kDouble && variant % 3 == 0;
              expect_aten(make_arguments(input, is_mixed ? at::kFloat : dtype, variant++));
            }
          }
        }
      }
    }
  }
}

TEST_F(BatchNormTest, LargeTensorsAreDividedAmongThreads) {
  at::set_num_threads(2);
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    expect_aten(make_arguments(normal({3, 37, 41, 43}, at::kFloat).contiguous(format), at::kFloat,
                               /*variant=*/0));
  }
}

TEST_F(BatchNormTest, NoBatchAndParametersWithGaps) {
  expect_aten(make_arguments(normal({0, 3, 4, 4}, at::kFloat), at::kFloat, 0));
  Arguments a = make_arguments(normal({2, 4, 5, 5}, at::kFloat), at::kFloat, 0);
  a.weight = normal({8}, at::kFloat).slice(0, 0, 8, 2);
  const FirstRun saved = forward(a);
  EXPECT_TRUE(same_bits(again(a, saved), saved.output));
}

TEST_F(BatchNormTest, NanAndInfinityStayInTheirChannel) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (at::Tensor& input : inputs_of(3, 19, 5, dtype)) {
      const auto channel = [&](int64_t c) { return input.select(1, c).select(0, 0); };
      channel(1).fill_(std::numeric_limits<double>::quiet_NaN());
      channel(4).fill_(std::numeric_limits<double>::infinity());
      channel(18).fill_(-std::numeric_limits<double>::infinity());
      expect_aten(make_arguments(input, dtype, /*variant=*/0));
    }
  }
}

TEST_F(BatchNormTest, SavesWhatAtenSaves) {
  for (const at::ScalarType dtype : kDtypes) {
    const Arguments a = make_arguments(normal({2, 5, 4, 4}, dtype), dtype, 0);
    const FirstRun saved = forward(copy(a));
    const auto [output, mean, invstd] =
        at::native_batch_norm(a.input, a.weight, a.bias, {}, {}, true, kMomentum, kEps);
    EXPECT_TRUE(same_bits(saved.first, mean));
    EXPECT_TRUE(same_bits(saved.second, invstd));
    EXPECT_FALSE(saved.first.requires_grad());
  }
}

TEST_F(BatchNormTest, WithoutTrainingTheRunningStatisticsAreCopied) {
  Arguments a = make_arguments(normal({2, 5, 4, 4}, at::kFloat), at::kFloat, 0);
  a.training = false;
  const FirstRun saved = forward(a);
  EXPECT_TRUE(same_bits(saved.output, aten(a)));
  a.running_mean->zero_();
  a.running_var->fill_(1);
  EXPECT_TRUE(same_bits(again(a, saved), saved.output));
}

TEST_F(BatchNormTest, WithoutStatisticsTheyAreComputedAgain) {
  const Arguments a = make_arguments(normal({2, 5, 4, 4}, at::kFloat), at::kFloat, 0);
  const FirstRun none{{}, at::empty({0}), at::empty({0})};
  EXPECT_TRUE(same_bits(again(a, none), aten(a)));
}

// Also that no other test passes because the statistics were computed again: ATen's operator saves
// the running statistics that it is given then.
TEST_F(BatchNormTest, SavesInputWeightAndStatistics) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (const at::Tensor& input : inputs_of(3, 5, 4, dtype)) {
      if (!input.is_non_overlapping_and_dense() || input.transpose(-1, -2).is_contiguous())
        continue;
      SCOPED_TRACE(c10::str(dtype, input.sizes(), input.strides()));
      const Arguments a = copy(make_arguments(input, dtype, /*variant=*/0));
      FirstRun saved;
      {
        const at::NoGradGuard no_grad;
        saved = forward(a);
      }
      const SavedTensorRecorder recorder;
      const at::Tensor output = again(a, saved);
      const int64_t bytes = input.element_size();
      EXPECT_THAT(storage_bytes(recorder),
                  ElementsAre(bytes * input.numel(), bytes * 5, bytes * 5, bytes * 5));
    }
  }
}

TEST_F(BatchNormTest, OfOneBranchAlone) {
  Arguments a = copy(make_arguments(normal({2, 5, 4, 4}, at::kFloat), at::kFloat, 0));
  const FirstRun saved = forward(a);
  const at::Tensor grad = normal(a.input.sizes(), at::kFloat);
  for (const at::Tensor& leaf : leaves(a)) {
    EXPECT_TRUE(
        same_bits(gradient(again(a, saved), leaf, grad), gradient(saved.output, leaf, grad)));
  }
  a.input = a.input.detach();
  EXPECT_TRUE(
      same_bits(gradient(again(a, saved), *a.bias, grad), gradient(saved.output, *a.bias, grad)));
}

}  // namespace
}  // namespace invact::testing
