// Recompute segments against the same models without them: outputs, gradients and random numbers
// bit for bit, however backward is called.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/recompute/recompute_models.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using torch::jit::Module;

class RecomputeTest : public OneThread {
 protected:
  Module block_ = make_model(block_parameters(), block_source(true));
  Module plain_ = make_model(block_parameters(), block_source(false));
  at::Tensor input_ = normal({6, 8}, at::kFloat);
};

TEST_F(RecomputeTest, TrainsBitForBit) {
  expect_same_training(block_, plain_, input_);
}

TEST_F(RecomputeTest, SavesTheSegmentsInputsAndFreesItsOutput) {
  const at::Tensor input = leaf(input_);
  const SavedTensorRecorder recorder;
  const at::Tensor output = block_.forward({input}).toTensor();
  // x, scale, shift; the norm's output is given back; up; h, the bits; the second output is given
  // back; down.
  EXPECT_THAT(storage_bytes(recorder), ElementsAre(4 * 6 * 8, 4 * 8, 4 * 8, 0, 4 * 32 * 8,
                                                   4 * 6 * 32, 6 * 32 / 8, 0, 4 * 8 * 32));
}

TEST_F(RecomputeTest, SurvivesSavingAndLoading) {
  std::stringstream file;
  block_.save(file);
  Module loaded = torch::jit::load(file);
  expect_same_training(loaded, plain_, input_);
}

TEST_F(RecomputeTest, WithoutGradientsIsTheMethodItself) {
  const auto outputs_agree = [&] {
    at::manual_seed(5);
    const at::Tensor found = block_.forward({input_}).toTensor();
    at::manual_seed(5);
    return same_bits(found, plain_.forward({input_}).toTensor());
  };
  {
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(outputs_agree());
  }
  const c10::InferenceMode inference;
  EXPECT_TRUE(outputs_agree());
}

TEST_F(RecomputeTest, FrozenParametersGetNoGradient) {
  const std::vector<std::vector<std::string>> choices = {
      {"scale", "shift"}, {"up", "lift"}, {"scale", "shift", "up", "lift", "down", "drop"}};
  for (const auto& frozen : choices) {
    SCOPED_TRACE(frozen.front() + std::to_string(frozen.size()));
    Module block = make_model(block_parameters(), block_source(true));
    Module plain = make_model(block_parameters(), block_source(false));
    for (const std::string& name : frozen) {
      block.attr(name).toTensor().set_requires_grad(false);
      plain.attr(name).toTensor().set_requires_grad(false);
    }
    expect_same_training(block, plain, input_);
  }
}

TEST_F(RecomputeTest, GradientsOfSomeParameters) {
  const auto some = [&](Module& model, const std::vector<std::string>& names) {
    at::manual_seed(5);
    std::vector<at::Tensor> parameters;
    for (const std::string& name : names) parameters.push_back(model.attr(name).toTensor());
    return torch::autograd::grad({model.forward({leaf(input_)}).toTensor().sum()}, parameters);
  };
  using Names = std::vector<std::string>;
  for (const Names& names :
       {Names{"scale"}, Names{"down", "lift"}, Names{"drop"}, Names{"shift"}}) {
    const auto found = some(block_, names);
    const auto expected = some(plain_, names);
    for (size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(same_bits(found[i], expected[i]));
  }
}

TEST_F(RecomputeTest, BackwardThroughAKeptGraphAgain) {
  const auto three_times = [](const at::Tensor& output, const at::Tensor& grad_output) {
    torch::autograd::backward({output}, {grad_output}, /*retain_graph=*/true);
    torch::autograd::backward({output}, {grad_output}, /*retain_graph=*/true);
    torch::autograd::backward({output}, {grad_output});
    try {
      torch::autograd::backward({output}, {grad_output});
      ADD_FAILURE() << "no error";
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), HasSubstr("backward through the graph a second time"));
    }
  };
  expect_same_training(block_, plain_, input_, three_times);
}

TEST_F(RecomputeTest, GradientsOfGradients) {
  for (const bool keeps_more : {false, true}) {
    const auto second = [&](Module& model) {
      return [&, keeps_more](const at::Tensor& output, const at::Tensor& grad_output) {
        std::vector<at::Tensor> parameters;
        for (const at::Tensor& parameter : model.parameters()) parameters.push_back(parameter);
        const auto first = torch::autograd::grad({output}, parameters, {grad_output}, true,
                                                 /*create_graph=*/true);
        // A backward in between, which must leave what the new graph reads.
        if (keeps_more) torch::autograd::backward({output}, {grad_output}, /*retain_graph=*/true);
        at::Tensor loss = at::zeros({});
        for (const at::Tensor& gradient : first) loss = loss + gradient.pow(2).sum();
        torch::autograd::backward({loss});
      };
    };
    const Step expected = step(plain_, input_, second(plain_));
    const Step found = step(block_, input_, second(block_));
    for (size_t i = 0; i < expected.gradients.size(); ++i) {
      ASSERT_EQ(found.gradients[i].defined(), expected.gradients[i].defined()) << i;
      if (!expected.gradients[i].defined()) continue;
      EXPECT_TRUE(at::allclose(found.gradients[i], expected.gradients[i], 1e-5, 1e-5)) << i;
    }
  }
}

TEST_F(RecomputeTest, SeveralForwardsBeforeOneBackward) {
  const at::Tensor other = normal({3, 8}, at::kFloat).neg();
  const auto twice = [&](Module& model) {
    return [&](const at::Tensor& output, const at::Tensor& grad_output) {
      const at::Tensor second = model.forward({other}).toTensor();
      torch::autograd::backward({output, second}, {grad_output, at::ones_like(second)});
    };
  };
  expect_equal(step(block_, input_, twice(block_)), step(plain_, input_, twice(plain_)));
}

TEST_F(RecomputeTest, AnErrorInBackwardLeavesTheGraphUsable) {
  for (const char* name : {"drop", "lift", "shift"}) {
    SCOPED_TRACE(name);
    const auto fails_once = [&](Module& model) {
      return [&, name](const at::Tensor& output, const at::Tensor& grad_output) {
        const at::Tensor parameter = model.attr(name).toTensor();
        const unsigned hook = parameter.register_hook(
            [](const at::Tensor& grad) -> at::Tensor { throw std::runtime_error("stop"); });
        EXPECT_THROW(torch::autograd::backward({output}, {grad_output}, /*retain_graph=*/true),
                     std::runtime_error);
        parameter.remove_hook(hook);
        for (const at::Tensor& each : model.parameters()) each.mutable_grad().reset();
        torch::autograd::backward({output}, {grad_output});
      };
    };
    Step found = step(block_, input_, fails_once(block_));
    Step expected = step(plain_, input_, fails_once(plain_));
    // The input's gradient may have come before the error or not, by the engine's order.
    found.gradients.front() = expected.gradients.front();
    expect_equal(found, expected);
    expect_equal(step(block_, input_), step(plain_, input_));
  }
}

TEST_F(RecomputeTest, ThreadsShareAModule) {
  Module block = make_model(attention_parameters(), attention_source(true));
  Module plain = make_model(attention_parameters(), attention_source(false));
  for (const Module& model : {block, plain}) {
    for (const at::Tensor& parameter : model.parameters()) parameter.set_requires_grad(false);
  }
  const auto gradient_of = [](Module& model, const at::Tensor& input) {
    const torch::jit::GraphOptimizerEnabledGuard off(false);
    const at::Tensor tracked = leaf(input);
    torch::autograd::backward({model.forward({tracked}).toTensor().sum()});
    return tracked.grad();
  };
  std::vector<std::thread> threads;
  std::vector<int> failures(4);
  for (int i = 0; i < 4; ++i) {
    const at::Tensor input = input_.mul(i + 1);
    threads.emplace_back([&, i, input, expected = gradient_of(plain, input)] {
      for (int run = 0; run < 50; ++run) {
        failures[i] += same_bits(gradient_of(block, input), expected) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(failures, ElementsAre(0, 0, 0, 0));
}

TEST_F(RecomputeTest, AutocastInForwardAlone) {
  const Forward under_autocast = [](Module& model, const at::Tensor& input) {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::increment_nesting();
    at::Tensor output = model.forward({input}).toTensor();
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    return output;
  };
  expect_same_training(block_, plain_, input_, nullptr, under_autocast);
}

TEST_F(RecomputeTest, ThreeReadersOfOneOutput) {
  Module segments = make_model(attention_parameters(), attention_source(true));
  Module plain = make_model(attention_parameters(), attention_source(false));
  expect_same_training(segments, plain, normal({2, 5, 8}, at::kFloat));
}

TEST_F(RecomputeTest, RegionsThatReadReleasedOutputs) {
  const std::vector<Shape> parameters = {
      {"scale", {8}}, {"shift", {8}}, {"up", {8, 8}}, {"down", {8, 8}}, {"side", {8, 8}}};
  Module plain = make_model(parameters, R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.layer_norm(x, [8], self.scale, self.shift)
    a = torch.gelu(y)
    b = torch.layer_norm(y, [8], self.scale, self.shift)
    return torch.linear(a, self.up) + torch.linear(b, self.down) + torch.linear(y, self.side)
)");
  for (const char* users : {"[s]", "[s, a, b]"}) {
    std::string source = kSegmentMethods;
    Module segments = make_model(parameters, source
                                                 .append(R"(
def forward(self, x: Tensor) -> Tensor:
    y = ops.invact.recompute(self, "norm", [x, self.scale, self.shift])
    a = ops.invact.recompute(self, "gelu", [y])
    b = ops.invact.recompute(self, "norm", [y, self.scale, self.shift])
    u = torch.linear(a, self.up)
    ops.invact.release(a, [u], True)
    d = torch.linear(b, self.down)
    ops.invact.release(b, [d], True)
    s = torch.linear(y, self.side)
    ops.invact.release(y, )")
                                                 .append(users)
                                                 .append(R"(, True)
    return u + d + s
)"));
    expect_same_training(segments, plain, input_);
    expect_same_training(segments, plain, input_,
                         [](const at::Tensor& output, const at::Tensor& g) {
                           torch::autograd::backward({output}, {g}, /*retain_graph=*/true);
                           torch::autograd::backward({output}, {g});
                         });
  }
}

TEST_F(RecomputeTest, ASegmentMayHaveSegmentsItself) {
  std::string source = kSegmentMethods;
  Module segments = make_model({{"scale", {8}}, {"shift", {8}}, {"up", {8, 8}}}, source.append(R"(
def outer(self, x: Tensor, scale: Tensor, shift: Tensor, up: Tensor) -> Tensor:
    y = ops.invact.recompute(self, "norm", [x, scale, shift])
    o = torch.linear(y, up)
    ops.invact.release(y, [o], True)
    return torch.gelu(o)

def forward(self, x: Tensor) -> Tensor:
    a = ops.invact.recompute(self, "outer", [x, self.scale, self.shift, self.up])
    o = torch.linear(a, self.up)
    ops.invact.release(a, [o], True)
    return o
)"));
  Module plain = make_model({{"scale", {8}}, {"shift", {8}}, {"up", {8, 8}}}, R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.layer_norm(x, [8], self.scale, self.shift)
    return torch.linear(torch.gelu(torch.linear(y, self.up)), self.up)
)");
  expect_same_training(segments, plain, input_);
}

TEST_F(RecomputeTest, OneTensorAsTwoInputs) {
  Module plain = make_model({{"up", {8, 8}}}, R"(
def forward(self, x: Tensor) -> Tensor:
    h = x * 2
    return torch.linear(torch.tanh(h) * h, self.up)
)");
  Module segments = make_model({{"up", {8, 8}}}, R"(
def gate(self, a: Tensor, b: Tensor) -> Tensor:
    return torch.tanh(a) * b

def forward(self, x: Tensor) -> Tensor:
    h = x * 2
    y = ops.invact.recompute(self, "gate", [h, h])
    o = torch.linear(y, self.up)
    ops.invact.release(y, [o], True)
    return o
)");
  expect_same_training(segments, plain, input_);
  const auto second = [&](Module& model) {
    const at::Tensor x = leaf(input_);
    const auto first = torch::autograd::grad({model.forward({x}).toTensor().sum()}, {x}, {}, true,
                                             /*create_graph=*/true);
    return torch::autograd::grad({first[0].pow(2).sum()}, {x})[0];
  };
  EXPECT_TRUE(at::allclose(second(segments), second(plain), 1e-5, 1e-5));
}

}  // namespace
}  // namespace invact::testing
