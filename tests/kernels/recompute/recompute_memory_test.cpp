// What the backward of a recompute region holds at most, by the allocator's own reports.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "tests/kernels/activation/op_cases.h"
#include "tests/kernels/recompute/recompute_models.h"

namespace invact::testing {
namespace {

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

/// Of one backward through a linear and, released before it, the chain `expression` of x; in
/// tensors of x's size.
double peak_of(const std::string& expression) {
  const torch::jit::Module module =
      make_model({}, "def chain(self, x: Tensor) -> Tensor:\n    return " + expression + "\n");
  const at::Tensor x = normal({1024, 64}, at::kFloat).requires_grad_();
  const at::Tensor weight = normal({64, 64}, at::kFloat);
  const at::Tensor y = recompute(module, "chain", {x});
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

TEST_F(RecomputeMemoryTest, AChainLetsGoOfResultsThatItsBackwardHasPassed) {
  // The second run's three tensors, the gradient of its result, and one gradient more while a
  // result and a gradient go.
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
