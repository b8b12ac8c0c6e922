// How exact the norms' gradients are: the distance from the gradient in float64 on the same
// numbers, beside ATen's own, and how it grows with |bias| / |weight|, which is why some calls save
// their input (math/norm_recovery.h). And RMSNorm as models write it out.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/norm/norm_cases.h"
#include "tests/kernels/saved_tensor_recorder.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {
namespace {

constexpr const char* kGradientNames[] = {"input", "weight", "bias"};

/// Distances of a norm's three gradients from float64's, without those that do not exist.
std::vector<double> distances(const NormCase& norm, const NormCase::Call& which,
                              const NormInputs& inputs) {
  const NormInputs tracked = inputs.tracked();
  const NormInputs exact = inputs.to(at::kDouble).tracked();
  const at::Tensor output = call(which, tracked);
  at::manual_seed(3);
  const at::Tensor grad_output = at::randn(output.sizes()).to(output.scalar_type());
  const auto found = norm_gradients(output, tracked, grad_output);
  const auto expected = norm_gradients(call(norm.aten, exact), exact, grad_output.to(at::kDouble));
  std::vector<double> result;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].defined()) result.push_back(relative_distance(found[i], expected[i]));
  }
  return result;
}

void set_ratio(NormInputs& inputs, double ratio) {
  inputs.bias = inputs.weight * ratio;
}

class NormPrecisionTest : public ::testing::TestWithParam<std::tuple<size_t, at::ScalarType>> {
 protected:
  const NormCase& norm() const { return norm_cases()[std::get<0>(GetParam())]; }
  at::ScalarType dtype() const { return std::get<1>(GetParam()); }

  void expect_near_atens(const std::string& name, const NormInputs& inputs, double factor) const {
    const auto ours = distances(norm(), norm().invact, inputs);
    const auto atens = distances(norm(), norm().aten, inputs);
    for (size_t i = 0; i < ours.size(); ++i) {
      std::printf("  %s, gradient of %s: %.2e, ATen %.2e\n", name.c_str(), kGradientNames[i],
                  ours[i], atens[i]);
      EXPECT_LE(ours[i], norm_gradient_error(dtype()) * factor + 1.05 * atens[i]) << name;
    }
  }
};

TEST_P(NormPrecisionTest, GradientsAreAsNearToFloat64AsTheOutputAllows) {
  expect_near_atens("512 x 256", norm_inputs({512, 256}, 1, dtype(), true, norm().has_bias), 1);
  expect_near_atens("8192 x 64", norm_inputs({8192, 64}, 1, dtype(), true, norm().has_bias), 1);
  expect_near_atens("16 x 4096", norm_inputs({16, 4096}, 1, dtype(), true, norm().has_bias), 1);
}

TEST_P(NormPrecisionTest, ErrorGrowsWithBiasOverWeightUpToTheLimit) {
  if (!norm().has_bias)
    return expect_near_atens("no bias", norm_inputs({64, 64}, 1, dtype(), true, false), 1);
  for (const double ratio : {0.0, 1.0, 4.0, 8.0, 64.0, 256.0}) {
    NormInputs inputs = norm_inputs({512, 256}, 1, dtype());
    set_ratio(inputs, ratio);
    expect_near_atens("|b| / |w| = " + std::to_string(ratio), inputs, std::max(ratio, 1.0));
  }
}

INSTANTIATE_TEST_SUITE_P(All, NormPrecisionTest,
                         ::testing::Combine(::testing::Range(size_t{0}, norm_cases().size()),
                                            ::testing::ValuesIn(kDtypes)),
                         [](const auto& info) {
                           return norm_cases()[std::get<0>(info.param)].name + "_" +
                                  c10::toString(std::get<1>(info.param));
                         });

/// An RMSNorm of transformers, as its module writes it.
struct WrittenOut {
  std::string name;
  std::function<at::Tensor(const at::Tensor& x, const at::Tensor& w)> model;
  std::function<at::Tensor(const at::Tensor& x, const at::Tensor& w)> invact;
};

constexpr double kEps = 1e-6;

at::Tensor normalized(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide * at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true) + kEps);
}

at::Tensor cast(const at::Tensor& x, const at::Tensor& w, double offset,
                std::optional<at::ScalarType> normalized_dtype,
                std::optional<at::ScalarType> output_dtype) {
  return invact::rms_norm_cast(x, {x.size(-1)}, w, kEps, offset, normalized_dtype, output_dtype);
}

const std::vector<WrittenOut>& written_out() {
  using at::Tensor;
  static const std::vector<WrittenOut> cases = {
      {"Llama",
       [](const Tensor& x, const Tensor& w) { return w * normalized(x).to(x.scalar_type()); },
       [](const Tensor& x, const Tensor& w) {
         return cast(x, w, 0, x.scalar_type(), std::nullopt);
       }},
      {"T5",
       [](const Tensor& x, const Tensor& w) {
         const Tensor variance = x.to(at::kFloat).pow(2).mean(-1, /*keepdim=*/true);
         Tensor n = x * at::rsqrt(variance + kEps);
         if (w.scalar_type() != at::kFloat) n = n.to(w.scalar_type());
         return w * n;
       },
       [](const Tensor& x, const Tensor& w) {
         const auto dtype =
             w.scalar_type() == at::kFloat ? std::nullopt : std::optional(w.scalar_type());
         return cast(x, w, 0, dtype, std::nullopt);
       }},
      {"Gemma",
       [](const Tensor& x, const Tensor& w) {
         return (normalized(x.to(at::kFloat)) * (1.0 + w.to(at::kFloat))).to(x.scalar_type());
       },
       [](const Tensor& x, const Tensor& w) {
         return cast(x, w, 1, std::nullopt, x.scalar_type());
       }},
      {"Olmo2",
       [](const Tensor& x, const Tensor& w) { return (w * normalized(x)).to(x.scalar_type()); },
       [](const Tensor& x, const Tensor& w) {
         return cast(x, w, 0, std::nullopt, x.scalar_type());
       }},
  };
  return cases;
}

class WrittenOutNormTest : public ::testing::TestWithParam<size_t> {
 protected:
  const WrittenOut& form() const { return written_out()[GetParam()]; }
};

struct DtypePair {
  at::ScalarType input;
  at::ScalarType weight;
};
constexpr DtypePair kDtypePairs[] = {{at::kFloat, at::kFloat},
                                     {at::kBFloat16, at::kBFloat16},
                                     {at::kHalf, at::kHalf},
                                     {at::kBFloat16, at::kFloat},
                                     {at::kFloat, at::kBFloat16}};

TEST_P(WrittenOutNormTest, ForwardEqualsTheModelsBitForBit) {
  const std::vector<std::vector<int64_t>> shapes = {{7, 13}, {2, 5, 256}, {0, 8}, {1, 4099}};
  for (const DtypePair& pair : kDtypePairs) {
    for (const std::vector<int64_t>& sizes : shapes) {
      const NormInputs inputs = norm_inputs(sizes, 1, pair.input, true, false);
      const at::Tensor weight = inputs.weight.to(pair.weight);
      const at::Tensor expected = form().model(inputs.input, weight);
      EXPECT_TRUE(same_bits(form().invact(inputs.input, weight), expected));
      const at::Tensor tracked =
          form().invact(inputs.input.detach().requires_grad_(), weight.detach().requires_grad_());
      EXPECT_TRUE(same_bits(tracked, expected));
      EXPECT_EQ(tracked.strides(), expected.strides());
    }
  }
}

TEST_P(WrittenOutNormTest, GradientsEqualTheModels) {
  for (const DtypePair& pair : kDtypePairs) {
    const NormInputs inputs = norm_inputs({512, 256}, 1, pair.input, true, false);
    const at::Tensor x = inputs.input.detach().requires_grad_();
    const at::Tensor w = inputs.weight.to(pair.weight).detach().requires_grad_();
    const at::Tensor output = form().invact(x, w);
    const at::Tensor grad_output = normal(output.sizes(), output.scalar_type()).flip({0});
    const auto found = torch::autograd::grad({output}, {x, w}, {grad_output});
    const auto models = torch::autograd::grad({form().model(x, w)}, {x, w}, {grad_output});
    const at::ScalarType narrow =
        at::elementSize(pair.input) < at::elementSize(pair.weight) ? pair.input : pair.weight;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].scalar_type(), models[i].scalar_type());
      const double distance = relative_distance(found[i], models[i]);
      std::printf("  input %s, weight %s, gradient of %s: %.2e from the model's\n",
                  c10::toString(pair.input), c10::toString(pair.weight), kGradientNames[i],
                  distance);
      EXPECT_LE(distance, 3 * norm_gradient_error(narrow));
    }
  }
}

TEST_P(WrittenOutNormTest, SavesItsOutputAndOneFloatPerRow) {
  const NormInputs tracked = norm_inputs({6, 24}, 1, at::kFloat, true, false).tracked();
  const SavedTensorRecorder recorder;
  const at::Tensor output = form().invact(tracked.input, tracked.weight);
  ASSERT_EQ(recorder.saved().size(), 3u);
  EXPECT_TRUE(recorder.saved()[0].is_alias_of(output));
  EXPECT_EQ(recorder.saved()[1].storage().nbytes(), size_t{6} * sizeof(float));
  EXPECT_TRUE(recorder.saved()[2].is_alias_of(tracked.weight));
}

TEST_P(WrittenOutNormTest, SavesItsInputWhereTheWeightIsZero) {
  NormInputs inputs = norm_inputs({6, 24}, 1, at::kFloat, true, false);
  inputs.weight.select(0, 4).fill_(form().name == "Gemma" ? -1 : 0);
  const NormInputs tracked = inputs.tracked();
  at::Tensor output;
  {
    const SavedTensorRecorder recorder;
    output = form().invact(tracked.input, tracked.weight);
    for (const at::Tensor& saved : recorder.saved()) EXPECT_FALSE(saved.is_alias_of(output));
  }
  const at::Tensor ones = at::ones({6, 24});
  const std::vector<at::Tensor> leaves = {tracked.input, tracked.weight};
  const auto found = torch::autograd::grad({output}, leaves, {ones});
  const auto models =
      torch::autograd::grad({form().model(tracked.input, tracked.weight)}, leaves, {ones});
  EXPECT_TRUE(same_bits(found[0], models[0]));
  EXPECT_TRUE(same_bits(found[1], models[1]));
}

INSTANTIATE_TEST_SUITE_P(All, WrittenOutNormTest, ::testing::Range(size_t{0}, written_out().size()),
                         [](const auto& info) { return written_out()[info.param].name; });

TEST(RmsNormCastTest, WorksWithoutAWeightAndOnStridedRows) {
  const at::Tensor wide = normal({5, 3, 48}, at::kFloat);
  for (const at::Tensor& x : {wide, wide.slice(2, 8, 32), wide.transpose(0, 1)}) {
    const at::Tensor tracked = x.detach().requires_grad_();
    const at::Tensor output = invact::rms_norm_cast(tracked, {x.size(-1)}, std::nullopt, kEps);
    EXPECT_TRUE(same_bits(output, normalized(x)));
    const at::Tensor grad_output = normal(x.sizes(), at::kFloat).flip({0});
    EXPECT_LE(relative_distance(gradient(output, tracked, grad_output),
                                gradient(normalized(tracked), tracked, grad_output)),
              1e-6);
  }
}

}  // namespace
}  // namespace invact::testing
