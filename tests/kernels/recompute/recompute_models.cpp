#include "tests/kernels/recompute/recompute_models.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <unordered_set>

#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {
namespace {

/// `ops` of serialized code: every field is a namespace of operators.
struct OpsNamespaces : torch::jit::SugaredValue {
  std::string kind() const override { return "ops"; }
  std::shared_ptr<SugaredValue> attr(const torch::jit::SourceRange&, torch::jit::GraphFunction&,
                                     const std::string& field) override {
    return std::make_shared<torch::jit::BuiltinModule>(field);
  }
};

struct OpsResolver : torch::jit::NativeResolver {
  std::shared_ptr<torch::jit::SugaredValue> resolveValue(
      const std::string& name, torch::jit::GraphFunction& method,
      const torch::jit::SourceRange& range) override {
    if (name == "ops") return std::make_shared<OpsNamespaces>();
    return NativeResolver::resolveValue(name, method, range);
  }
};

}  // namespace

const char* const kSegmentMethods = R"(
def norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.layer_norm(x, [8], weight, bias)

def gelu(self, h: Tensor) -> Tensor:
    return torch.gelu(h)

def gelu_dropout(self, h: Tensor, p: float) -> Tuple[Tensor, Tensor]:
    y, kept = ops.invact._dropout_forward(torch.gelu(h), p)
    return (y, kept)

def gelu_dropout_again(self, h: Tensor, p: float, kept: Tensor) -> Tensor:
    return ops.invact._dropout_again(torch.gelu(h), kept, p, False)
)";

OneThread::OneThread() : threads_before_(at::get_num_threads()) {
  at::set_num_threads(1);
}

OneThread::~OneThread() {
  at::set_num_threads(threads_before_);
}

at::Tensor recompute(const torch::jit::Module& module, const std::string& method,
                     const std::vector<at::Tensor>& inputs, const c10::IValue& extra) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("invact::recompute",
                                                                 extra.isNone() ? "" : "extra");
  torch::jit::Stack stack = {module._ivalue(), method, inputs};
  if (!extra.isNone()) stack.push_back(extra);
  op.callBoxed(stack);
  return stack.back().toTensor();
}

void release(const at::Tensor& self, const std::vector<at::Tensor>& users, bool last) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("invact::release", "");
  torch::jit::Stack stack = {self, users, last};
  op.callBoxed(stack);
}

void define(torch::jit::Module& module, const std::string& source) {
  module.define(source, std::make_shared<OpsResolver>());
}

torch::jit::Module make_model(const std::vector<Shape>& parameters, const std::string& source) {
  at::manual_seed(11);
  torch::jit::Module model("M");
  for (const Shape& shape : parameters) {
    model.register_parameter(shape.name, at::randn(shape.sizes).requires_grad_(),
                             /*is_buffer=*/false);
  }
  define(model, source);
  return model;
}

Step step(torch::jit::Module& model, const at::Tensor& input, const Backward& backward,
          const Forward& forward) {
  const at::Tensor tracked = leaf(input);
  std::vector<at::Tensor> leaves = {tracked};
  for (const at::Tensor& parameter : model.parameters()) leaves.push_back(parameter);
  for (at::Tensor& each : leaves) each.mutable_grad().reset();
  at::manual_seed(5);
  Step result;
  const at::Tensor output = forward ? forward(model, tracked) : model.forward({tracked}).toTensor();
  result.next = next_random();
  result.output = output.detach().clone();
  const at::Tensor grad_output = normal(output.sizes(), output.scalar_type());
  if (backward) {
    backward(output, grad_output);
  } else {
    torch::autograd::backward({output}, {grad_output});
  }
  for (const at::Tensor& each : leaves) {
    result.gradients.push_back(each.grad().defined() ? each.grad().clone() : at::Tensor());
  }
  return result;
}

void expect_equal(const Step& found, const Step& expected) {
  EXPECT_TRUE(same_bits(found.output, expected.output));
  EXPECT_EQ(found.next, expected.next);
  ASSERT_EQ(found.gradients.size(), expected.gradients.size());
  for (size_t i = 0; i < found.gradients.size(); ++i) {
    ASSERT_EQ(found.gradients[i].defined(), expected.gradients[i].defined()) << i;
    if (!found.gradients[i].defined()) continue;
    EXPECT_TRUE(same_bits(found.gradients[i], expected.gradients[i])) << "gradient " << i;
  }
}

void expect_same_training(torch::jit::Module& segments, torch::jit::Module& plain,
                          const at::Tensor& input, const Backward& backward,
                          const Forward& forward) {
  const Step expected = [&] {
    const torch::jit::GraphOptimizerEnabledGuard off(false);
    return step(plain, input, backward, forward);
  }();
  for (const bool is_optimized : {false, true}) {
    const torch::jit::GraphOptimizerEnabledGuard guard(is_optimized);
    for (int run = 0; run < 3; ++run) {
      SCOPED_TRACE((is_optimized ? "optimized, run " : "not optimized, run ") +
                   std::to_string(run));
      expect_equal(step(segments, input, backward, forward), expected);
    }
  }
}

std::vector<int64_t> storage_bytes(const SavedTensorRecorder& recorder) {
  std::unordered_set<const c10::StorageImpl*> seen;
  std::vector<int64_t> bytes;
  for (const at::Tensor& saved : recorder.saved()) {
    if (!saved.defined() || !seen.insert(saved.storage().unsafeGetStorageImpl()).second) continue;
    bytes.push_back(static_cast<int64_t>(saved.storage().nbytes()));
  }
  return bytes;
}

std::vector<Shape> block_parameters() {
  return {{"scale", {8}}, {"shift", {8}},    {"up", {32, 8}},
          {"lift", {32}}, {"down", {8, 32}}, {"drop", {8}}};
}

std::string block_source(bool has_segments) {
  if (!has_segments) {
    return R"(
def forward(self, x: Tensor) -> Tensor:
    h = torch.linear(torch.layer_norm(x, [8], self.scale, self.shift), self.up, self.lift)
    a = torch.dropout(torch.gelu(h), 0.3, True)
    return x + torch.linear(a, self.down, self.drop)
)";
  }
  std::string source = kSegmentMethods;
  return source.append(R"(
def forward(self, x: Tensor) -> Tensor:
    y = ops.invact.recompute(self, "norm", [x, self.scale, self.shift])
    h = torch.linear(y, self.up, self.lift)
    ops.invact.release(y, [h], True)
    a = ops.invact.recompute(self, "gelu_dropout", [h], (0.3,))
    o = torch.linear(a, self.down, self.drop)
    ops.invact.release(a, [o], True)
    return x + o
)");
}

std::vector<Shape> attention_parameters() {
  return {{"scale", {8}}, {"shift", {8}}, {"q", {8, 8}}, {"k", {8, 8}}, {"v", {8, 8}}};
}

std::string attention_source(bool has_segments) {
  std::string source = kSegmentMethods;
  source += "\ndef forward(self, x: Tensor) -> Tensor:\n";
  source += has_segments
                ? "    y = ops.invact.recompute(self, 'norm', [x, self.scale, self.shift])\n"
                : "    y = torch.layer_norm(x, [8], self.scale, self.shift)\n";
  source += R"(
    q = torch.linear(y, self.q)
    k = torch.linear(y, self.k)
    v = torch.linear(y, self.v)
)";
  if (has_segments) source += "    ops.invact.release(y, [q, k, v], True)\n";
  return source + "    return torch.scaled_dot_product_attention(q, k, v)\n";
}

}  // namespace invact::testing
