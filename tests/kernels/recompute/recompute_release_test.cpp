// Which outputs of recompute segments are released, which are not, what a reader that release() was
// not told of meets, and how much memory the backward holds at most.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/recompute/recompute_models.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using torch::jit::Module;

size_t bytes_of(const at::Tensor& tensor) {
  return tensor.storage().nbytes();
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "none";
}

class ReleaseTest : public OneThread {
 protected:
  at::Tensor gelu(const at::Tensor& x) { return recompute(module_, "gelu", {x}); }

  Module module_ = make_model({}, kSegmentMethods);
  at::Tensor x_ = leaf(normal({6, 8}, at::kFloat));
  at::Tensor weight_ = leaf(normal({8, 8}, at::kFloat));
};

TEST_F(ReleaseTest, GivesBackFillsForBackwardAndGivesBackAgain) {
  const at::Tensor y = gelu(x_);
  const at::Tensor o = at::linear(y, weight_);
  size_t bytes_before_linear = 0;
  release(y, {o}, true);
  EXPECT_EQ(bytes_of(y), 0u);
  o.register_hook([&](const at::Tensor&) { bytes_before_linear = bytes_of(y); });
  for (const bool retain_graph : {true, false}) {
    torch::autograd::backward({o.sum()}, {}, retain_graph);
    EXPECT_EQ(bytes_before_linear, 4u * 6 * 8);
    EXPECT_EQ(bytes_of(y), 0u);
  }
}

TEST_F(ReleaseTest, OnlyTheLastOneGivesBack) {
  const at::Tensor y = gelu(x_);
  const at::Tensor a = at::linear(y, weight_);
  release(y, {a}, false);
  EXPECT_EQ(bytes_of(y), 4u * 6 * 8);
  const at::Tensor b = y.sin();
  release(y, {b}, false);
  release(y, {}, true);
  EXPECT_EQ(bytes_of(y), 0u);
  const auto found = torch::autograd::grad({(a * b).sum()}, {x_, weight_});
  const at::Tensor plain = at::gelu(x_);
  const auto expected =
      torch::autograd::grad({(at::linear(plain, weight_) * plain.sin()).sum()}, {x_, weight_});
  EXPECT_TRUE(same_bits(found[0], expected[0]));
  EXPECT_TRUE(same_bits(found[1], expected[1]));
}

TEST_F(ReleaseTest, FindsTheRegionThroughAnyView) {
  for (const auto& view : std::vector<std::function<at::Tensor(const at::Tensor&)>>{
           [](const at::Tensor& y) {
             return y.reshape({12, 4});
           },
           [](const at::Tensor& y) {
             return y.view({2, 3, 8}).permute({2, 0, 1});
           },
           [](const at::Tensor& y) { return y.slice(0, 1, 5); }}) {
    const at::Tensor y = gelu(x_);
    const at::Tensor seen = view(y);
    const at::Tensor o = seen.sin();
    release(seen, {o}, true);
    EXPECT_EQ(bytes_of(y), 0u);
    const at::Tensor found = torch::autograd::grad({o.sum()}, {x_})[0];
    EXPECT_TRUE(same_bits(found, torch::autograd::grad({view(at::gelu(x_)).sin().sum()}, {x_})[0]));
  }
}

TEST_F(ReleaseTest, UsersThatAreViewsMayBeChangedInPlace) {
  const auto run = [&](bool has_region, bool views_explicitly) {
    const at::Tensor x = x_.view({2, 3, 8});
    const at::Tensor y = has_region ? gelu(x) : at::gelu(x);
    // Of three dimensions linear's own result is a view in LibTorch 2.11, and none in later
    // releases.
    at::Tensor o = at::linear(y, weight_, at::ones({8}));
    if (views_explicitly) o = o.view({6, 8});
    if (has_region) release(y, {o}, true);
    o.relu_();
    return torch::autograd::grad({o.pow(2).sum()}, {x_, weight_});
  };
  for (const bool views_explicitly : {false, true}) {
    const auto found = run(true, views_explicitly);
    const auto expected = run(false, views_explicitly);
    EXPECT_TRUE(same_bits(found[0], expected[0]));
    EXPECT_TRUE(same_bits(found[1], expected[1]));
  }
}

TEST_F(ReleaseTest, WorksAcrossModules) {
  const std::string head = R"(
def forward(self, y: Tensor) -> Tensor:
    o = torch.linear(y.view([6, 8]), self.weight)
    ops.invact.release(y, [o], False)
    return o
)";
  const auto with_heads = [&](const std::string& source) {
    Module model = make_model({{"scale", {8}}, {"shift", {8}}}, kSegmentMethods);
    for (const char* name : {"first", "second"}) {
      model.register_module(name, make_model({{"weight", {8, 8}}}, head));
    }
    define(model, source);
    return model;
  };
  Module plain = with_heads(R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.layer_norm(x, [8], self.scale, self.shift)
    return self.first.forward(y) * self.second.forward(y)
)");
  Module segments = with_heads(R"(
def forward(self, x: Tensor) -> Tensor:
    y = ops.invact.recompute(self, "norm", [x, self.scale, self.shift])
    a = self.first.forward(y)
    b = self.second.forward(y)
    ops.invact.release(y, [], True)
    return a * b
)");
  expect_same_training(segments, plain, x_.detach());
  const SavedTensorRecorder recorder;
  const at::Tensor output = segments.forward({leaf(x_)}).toTensor();
  // x, scale, shift; y, which both linears save; their weights; the two factors of the product.
  EXPECT_THAT(storage_bytes(recorder), UnorderedElementsAre(192, 32, 32, 0, 256, 256, 192, 192));
}

TEST_F(ReleaseTest, KeepsWhatMayNotBeReleased) {
  const auto is_kept = [&](const std::function<at::Tensor(const at::Tensor&)>& use) {
    const at::Tensor y = gelu(x_ * 1);
    const at::Tensor o = use(y);
    return bytes_of(y) == 4u * 6 * 8 &&
           (!o.defined() || torch::autograd::grad({o.sum()}, {weight_})[0].defined());
  };
  EXPECT_TRUE(is_kept([&](const at::Tensor& y) {  // changed in place
    y.mul_(2);
    const at::Tensor o = at::linear(y, weight_);
    release(y, {o}, true);
    return o;
  }));
  EXPECT_TRUE(is_kept([&](const at::Tensor& y) {  // in what a user gave
    const at::Tensor o = y.view({48});
    release(y, {o}, true);
    return at::Tensor();
  }));
  EXPECT_TRUE(is_kept([&](const at::Tensor& y) {  // backward does not lead to the segment
    const at::Tensor o = at::linear(y.detach(), weight_);
    release(y.detach(), {o}, true);
    return o;
  }));
  EXPECT_TRUE(is_kept([&](const at::Tensor& y) {  // not the last one
    const at::Tensor o = at::linear(y, weight_);
    release(y, {o}, false);
    return o;
  }));
  EXPECT_TRUE(is_kept([&](const at::Tensor& y) {  // a copy, which is no segment's
    const at::Tensor copy = y.clone();
    const at::Tensor o = at::linear(copy, weight_);
    release(copy, {o}, true);
    EXPECT_EQ(bytes_of(copy), bytes_of(y));
    return o;
  }));
}

TEST_F(ReleaseTest, SegmentsThatGiveTheirInputOrAViewOfIt) {
  define(module_, R"(
def same(self, x: Tensor) -> Tensor:
    return x

def row(self, x: Tensor) -> Tensor:
    return x.view([2, 24])
)");
  for (const char* method : {"same", "row"}) {
    const at::Tensor h = x_ * 2;
    const at::Tensor y = recompute(module_, method, {h});
    const at::Tensor o = y.sin();
    release(y, {o}, true);
    EXPECT_EQ(bytes_of(h), 4u * 6 * 8);
    EXPECT_TRUE(same_bits(torch::autograd::grad({o.sum()}, {x_}, {}, /*retain_graph=*/true)[0],
                          (x_ * 2).cos() * 2));
    torch::autograd::backward({o.sum()});
    EXPECT_TRUE(same_bits(x_.grad(), (x_ * 2).cos() * 2));
    x_.mutable_grad().reset();
  }
  at::Tensor y = recompute(module_, "same", {x_ * 2});
  EXPECT_THROW(y.relu_(), c10::Error);  // autograd could not tell the input
}

TEST_F(ReleaseTest, SegmentsThatEndInAViewMayBeChangedInPlace) {
  define(module_, R"(
def turned(self, x: Tensor) -> Tensor:
    return torch.gelu(x).t()
)");
  const auto run = [&](at::Tensor y) {
    y.mul_(3);
    return torch::autograd::grad({y.sin().sum()}, {x_})[0];
  };
  EXPECT_TRUE(same_bits(run(recompute(module_, "turned", {x_})), run(at::gelu(x_).t())));
  const at::Tensor y = recompute(module_, "turned", {x_});
  const at::Tensor o = y.sin();
  release(y, {o}, true);
  EXPECT_EQ(bytes_of(y), 0u);
  EXPECT_TRUE(same_bits(torch::autograd::grad({o.sum()}, {x_})[0],
                        torch::autograd::grad({at::gelu(x_).t().sin().sum()}, {x_})[0]));
}

TEST_F(ReleaseTest, WithoutAGradientThereIsNothingToGiveBack) {
  const at::Tensor y = gelu(x_.detach());
  release(y, {at::linear(y, weight_)}, true);
  EXPECT_EQ(bytes_of(y), 4u * 6 * 8);
  const at::NoGradGuard no_grad;
  const at::Tensor z = gelu(x_);
  release(z, {at::linear(z, weight_)}, true);
  EXPECT_EQ(bytes_of(z), 4u * 6 * 8);
}

TEST_F(ReleaseTest, AReaderThatNobodyNamedGetsAnErrorAndNoCrash) {
  const at::Tensor y = gelu(x_);
  const at::Tensor unnamed = y.sin();
  const at::Tensor o = at::linear(y, weight_);
  release(y, {o}, true);
  const auto message = HasSubstr("invact released this tensor's memory");
  EXPECT_THAT(error_of([&] { y.sum(); }), message);
  EXPECT_THAT(error_of([&] { y.view({48}).clone(); }), message);
  EXPECT_THAT(error_of([&] { y.detach().mul_(2); }), message);
  EXPECT_THAT(error_of([&] { y.item<float>(); }), ::testing::Not("none"));
  EXPECT_THAT(error_of([&] { torch::autograd::backward({unnamed.sum()}); }), message);
}

TEST_F(ReleaseTest, AnInputChangedInPlaceIsAutogradsError) {
  const at::Tensor h = x_ * 2;
  const at::Tensor y = gelu(h);
  const at::Tensor o = at::linear(y, weight_);
  release(y, {o}, true);
  h.mul_(2);
  EXPECT_THAT(error_of([&] { torch::autograd::backward({o.sum()}); }),
              HasSubstr("modified by an inplace operation"));
}

TEST_F(ReleaseTest, NothingOutlivesTheGraph) {
  using Use = std::function<void(const at::Tensor&)>;
  const std::vector<Use> uses = {
      [](const at::Tensor&) {},
      [](const at::Tensor& o) { torch::autograd::backward({o.sum()}); },
      [](const at::Tensor& o) { torch::autograd::backward({o.sum()}, {}, true); },
      [&](const at::Tensor& o) {  // filled, and its own backward not reached
        torch::autograd::grad({o.sum()}, {weight_}, {}, /*retain_graph=*/true);
      },
  };
  for (const Use& use : uses) {
    const size_t owners_before = x_.use_count() + weight_.use_count();
    std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> storages;
    {
      const at::Tensor h = x_ * 2;
      const at::Tensor y = gelu(h);
      const at::Tensor z = gelu(y);
      const at::Tensor o = at::linear(z, weight_);
      release(z, {o}, true);
      release(y, {z}, true);
      for (const at::Tensor& each : {h, y, z}) {
        storages.push_back(each.storage().getWeakStorageImpl());
      }
      use(o);
    }
    EXPECT_EQ(x_.use_count() + weight_.use_count(), owners_before);
    for (const auto& storage : storages) EXPECT_TRUE(storage.expired());
  }
}

/// The most that was live at once, beyond what was there at first.
class PeakReporter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t alloc_size, size_t, size_t, c10::Device) override {
    live_ += alloc_size;
    peak_ = std::max(peak_, live_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t peak() const { return peak_; }

 private:
  int64_t live_ = 0;
  int64_t peak_ = 0;
};

class RecomputeMemoryTest : public OneThread {};

/// The peak of one backward through a linear and the segment `expression` of x, whose output was
/// released before it; in tensors of x's size.
double peak_of(const std::string& expression) {
  const torch::jit::Module module =
      make_model({}, "def method(self, x: Tensor) -> Tensor:\n    return " + expression + "\n");
  const at::Tensor x = normal({1024, 64}, at::kFloat).requires_grad_();
  const at::Tensor weight = normal({64, 64}, at::kFloat);
  const at::Tensor y = recompute(module, "method", {x});
  const at::Tensor o = at::linear(y, weight);
  release(y, {o}, true);
  const at::Tensor grad_output = at::ones_like(o);
  const auto reporter = std::make_shared<PeakReporter>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, reporter);
    torch::autograd::backward({o}, {grad_output});
  }
  return static_cast<double>(reporter->peak()) / static_cast<double>(x.nbytes());
}

TEST_F(RecomputeMemoryTest, ASegmentFreesResultsThatItsBackwardHasPassed) {
  // The second run's three tensors, the gradient of its result, and one more gradient until a
  // result and a gradient are freed.
  const double peak = peak_of("torch.exp(torch.tanh(torch.sigmoid(x)))");
  EXPECT_GE(peak, 5);
  EXPECT_LT(peak, 5.5);
}

TEST_F(RecomputeMemoryTest, AndOfGradients) {
  const double peak = peak_of("torch.exp(((x * 2) * 3) * 4)");
  EXPECT_GE(peak, 3);
  EXPECT_LT(peak, 3.5);
}

}  // namespace
}  // namespace invact::testing
