// What segments may be made of: batch norm, dropout, flags and statistics as extra arguments; and
// what is refused in a sentence. The operators that run a second time, by themselves.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/recompute/recompute_models.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;
using torch::jit::Module;

using SegmentMethodTest = OneThread;

Module with_statistics(const std::string& source) {
  Module model = make_model(
      {{"scale", {4}}, {"shift", {4}}, {"first", {4, 3, 3, 3}}, {"second", {2, 4, 3, 3}}}, source);
  model.register_parameter("mean", at::zeros({4}), /*is_buffer=*/true);
  model.register_parameter("var", at::ones({4}), /*is_buffer=*/true);
  return model;
}

Module convolutions(bool has_segments, bool training) {
  Module model = with_statistics("");
  const std::string flag = training ? "True" : "False";
  define(model, has_segments ? R"(
def norm_relu(self, h: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor,
              training: bool) -> Tuple[Tensor, Tensor, Tensor]:
    y, first, second = ops.invact._batch_norm_forward(
        h, w, b, mean, var, training, 0.1, 1e-05, True)
    return (torch.relu(y), first, second)

def norm_relu_again(self, h: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor,
                    training: bool, first: Tensor, second: Tensor) -> Tensor:
    return torch.relu(ops.invact._batch_norm_again(
        h, w, b, first, second, training, 0.1, 1e-05, True))

def forward(self, x: Tensor) -> Tensor:
    h = torch.conv2d(x, self.first)
    y = ops.invact.recompute(self, "norm_relu", [h, self.scale, self.shift],
                             (self.mean, self.var, )" +
                                   flag + R"())
    o = torch.conv2d(y, self.second)
    ops.invact.release(y, [o], True)
    return o
)"
                             : R"(
def forward(self, x: Tensor) -> Tensor:
    h = torch.conv2d(x, self.first)
    y = torch.relu(torch.batch_norm(h, self.scale, self.shift, self.mean, self.var, )" +
                                   flag + R"(, 0.1, 1e-05, True))
    return torch.conv2d(y, self.second)
)");
  return model;
}

TEST_F(SegmentMethodTest, BatchNormUpdatesItsStatisticsOnce) {
  for (const bool training : {true, false}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      Module segments = convolutions(true, training);
      Module plain = convolutions(false, training);
      const at::Tensor input = normal({2, 3, 9, 9}, at::kFloat).contiguous(format);
      for (int i = 0; i < 3; ++i) expect_equal(step(segments, input), step(plain, input));
      for (const char* name : {"mean", "var"}) {
        EXPECT_TRUE(same_bits(segments.attr(name).toTensor(), plain.attr(name).toTensor())) << name;
      }
    }
  }
}

TEST_F(SegmentMethodTest, StatisticsOfTheBatchAreSaved) {
  Module segments = convolutions(true, true);
  const SavedTensorRecorder recorder;
  const at::Tensor output = segments.forward({leaf(normal({2, 3, 9, 9}, at::kFloat))}).toTensor();
  EXPECT_THAT(storage_bytes(recorder),
              ::testing::ElementsAre(4 * 2 * 3 * 81, 4 * 4 * 27, 4 * 2 * 4 * 49, 16, 16, 16, 16, 0,
                                     4 * 2 * 36));
}

TEST_F(SegmentMethodTest, DropoutInPlaceDrawsOnce) {
  Module plain = make_model({{"up", {8, 8}}}, R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.dropout_(torch.gelu(torch.dropout(x * 2, 0.2, True)), 0.4, True)
    return torch.linear(y, self.up)
)");
  Module segments = make_model({{"up", {8, 8}}}, R"(
def drops(self, h: Tensor, p: float, q: float) -> Tuple[Tensor, Tensor, Tensor]:
    a, first = ops.invact._dropout_forward(h, p)
    y = torch.gelu(a)
    second = ops.invact._dropout_forward_(y, q)
    return (y, first, second)

def drops_again(self, h: Tensor, p: float, q: float, first: Tensor, second: Tensor) -> Tensor:
    a = ops.invact._dropout_again(h, first, p, False)
    return ops.invact._dropout_again(torch.gelu(a), second, q, True)

def forward(self, x: Tensor) -> Tensor:
    y = ops.invact.recompute(self, "drops", [x * 2], (0.2, 0.4))
    o = torch.linear(y, self.up)
    ops.invact.release(y, [o], True)
    return o
)");
  expect_same_training(segments, plain, normal({6, 8}, at::kFloat));
}

TEST_F(SegmentMethodTest, DropoutAgainIsTheDropoutThatDrew) {
  const auto forward =
      c10::Dispatcher::singleton().findSchemaOrThrow("invact::_dropout_forward", "");
  const auto forward_in_place =
      c10::Dispatcher::singleton().findSchemaOrThrow("invact::_dropout_forward_", "");
  const auto again = c10::Dispatcher::singleton().findSchemaOrThrow("invact::_dropout_again", "");
  for (const at::ScalarType dtype : kDtypes) {
    for (const LayoutCase& layout : layout_cases(dtype, at::kCPU)) {
      for (const bool in_place : {false, true}) {
        if (in_place && layout.name.find("expanded") != std::string::npos) continue;
        SCOPED_TRACE(layout.name + ", " + c10::toString(dtype) + (in_place ? ", in place" : ""));
        const at::Tensor x = leaf(layout.tensor);
        const at::Tensor copy = at::empty_strided(x.sizes(), x.strides(), x.options());
        if (in_place) copy.copy_(x.detach());
        torch::jit::Stack drawn = {in_place ? copy : x.detach(), 0.3};
        (in_place ? forward_in_place : forward).callBoxed(drawn);
        const at::Tensor expected = in_place ? copy : drawn[0].toTensor();
        torch::jit::Stack stack = {x, drawn.back(), 0.3, in_place};
        again.callBoxed(stack);
        const at::Tensor found = stack[0].toTensor();
        EXPECT_TRUE(same_bits(found, expected));
        // Linear: the gradient of ones is what kept elements were multiplied by.
        const at::Tensor scale = gradient(found, x, at::ones_like(found));
        EXPECT_TRUE(same_bits(scale * x.detach(), expected));
      }
    }
  }
}

TEST_F(SegmentMethodTest, HugeTensorsHaveShapesOnMeta) {
  const at::TensorOptions meta(at::kMeta);
  const at::Tensor x = at::empty({1 << 10, 4, 1 << 10, 1 << 10}, meta).requires_grad_();
  const at::Tensor bits = at::empty({int64_t{1} << 29}, meta.dtype(at::kByte));
  torch::jit::Stack stack = {x, bits, 0.3, false};
  c10::Dispatcher::singleton().findSchemaOrThrow("invact::_dropout_again", "").callBoxed(stack);
  const at::Tensor dropped = stack[0].toTensor();
  EXPECT_EQ(dropped.sizes(), x.sizes());
  EXPECT_EQ(gradient(dropped, x, at::empty_like(dropped)).sizes(), x.sizes());
  Module module = make_model({}, kSegmentMethods);
  const at::Tensor y = recompute(module, "gelu", {x});
  const at::Tensor o = y.sin();
  release(y, {o}, true);
  EXPECT_EQ(y.storage().nbytes(), 0u);
  EXPECT_EQ(gradient(o, x, at::empty_like(o)).sizes(), x.sizes());
}

TEST_F(SegmentMethodTest, WhatIsNoSegmentMethodIsRefusedInASentence) {
  Module module = make_model({}, R"(
def number(self, x: Tensor) -> int:
    return 3

def pair(self, x: Tensor) -> Tuple[Tensor, int]:
    return (x, 3)
)");
  const at::Tensor x = leaf(normal({6, 8}, at::kFloat));
  const auto error = [&](const std::string& method, const std::vector<at::Tensor>& inputs,
                         const c10::IValue& extra = {}) -> std::string {
    try {
      recompute(module, method, inputs, extra);
    } catch (const c10::Error& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(error("absent", {x}), HasSubstr("has no method 'absent'. torch.jit.freeze"));
  EXPECT_THAT(error("number", {x}), HasSubstr("gave Int, neither a tensor nor a tuple"));
  EXPECT_THAT(error("pair", {x}), HasSubstr("result 1 of chain 'pair' is no tensor but Int"));
  EXPECT_THAT(error("number", {x, x}), HasSubstr("takes 2 arguments, self included, and gets 3"));
  EXPECT_THAT(error("number", {x}, 3), HasSubstr("are no tuple but Int"));
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("invact::recompute", "");
  torch::jit::Stack stack = {3, "number", std::vector<at::Tensor>{x}};
  EXPECT_THROW(op.callBoxed(stack), c10::Error);
}

TEST_F(SegmentMethodTest, AParameterThatIsNoInputIsRefused) {
  Module module = make_model({{"weight", {8}}}, R"(
def hidden(self, x: Tensor) -> Tensor:
    return x * self.weight
)");
  const at::Tensor y = recompute(module, "hidden", {leaf(normal({6, 8}, at::kFloat))});
  try {
    torch::autograd::backward({y.sum()});
    ADD_FAILURE() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("is not among its inputs"));
  }
}

TEST_F(SegmentMethodTest, AFrozenModelSaysWhatToDo) {
  Module model = make_model(block_parameters(), block_source(true));
  model.eval();
  Module frozen = torch::jit::freeze(model);
  try {
    frozen.forward({normal({6, 8}, at::kFloat)});
    ADD_FAILURE() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("freeze the original model"));
  }
}

}  // namespace
}  // namespace invact::testing
