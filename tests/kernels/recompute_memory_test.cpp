// What the backward of a recompute region holds at most, by the allocator's own reports.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "tests/kernels/op_cases.h"
#include "tests/kernels/recompute_models.h"

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

TEST_F(RecomputeMemoryTest, AChainLetsGoOfWhatItsBackwardHasPassed) {
  const torch::jit::Module module = make_model({}, R"(
def three(self, x: Tensor) -> Tensor:
    return torch.exp(torch.tanh(torch.sigmoid(x)))
)");
  const at::Tensor x = normal({1024, 64}, at::kFloat).requires_grad_();
  const at::Tensor weight = normal({64, 64}, at::kFloat);
  const at::Tensor y = recompute(module, "three", {x});
  const at::Tensor o = at::linear(y, weight);
  release(y, {o}, true);
  const at::Tensor grad_output = at::ones_like(o);
  const auto reporter = std::make_shared<PeakReporter>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, reporter);
    torch::autograd::backward({o}, {grad_output});
  }
  // The second run's three tensors and the gradient of its result; then, one by one, a gradient
  // comes while a result and a gradient go.
  const auto tensor = static_cast<int64_t>(x.nbytes());
  EXPECT_GE(reporter->peak(), 5 * tensor);
  EXPECT_LT(reporter->peak(), 6 * tensor);
}

}  // namespace
}  // namespace invact::testing
