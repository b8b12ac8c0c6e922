// Trains a model and its rewrite on the same data: train MODEL.pt MODEL.invact.pt
// Prints each step's loss and the most memory that tensors held at once.
#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <invact/register.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace {

constexpr int kSteps = 4;
constexpr double kLearningRate = 0.01;

/// Told by LibTorch's allocators of everything that they give out and take back.
class PeakMemory : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    const int64_t now = live_bytes_ += bytes;
    for (int64_t seen = peak_bytes_; now > seen && !peak_bytes_.compare_exchange_weak(seen, now);) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  std::atomic<int64_t> live_bytes_{0}, peak_bytes_{0};
};

struct Run {
  std::vector<double> losses;
  int64_t peak_bytes = 0;
};

Run train(const char* path) {
  torch::jit::Module model = torch::jit::load(path);
  model.train();
  at::manual_seed(0);
  const at::Tensor images = at::randn({4, 3, 224, 224});
  const at::Tensor classes = at::randint(10, {4}, at::kLong);

  const auto memory = std::make_shared<PeakMemory>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
  Run run;
  for (int i = 0; i < kSteps; ++i) {
    const at::Tensor loss = at::cross_entropy_loss(model.forward({images}).toTensor(), classes);
    loss.backward();
    run.losses.push_back(loss.item<double>());
    for (const at::Tensor& parameter : model.parameters()) {
      at::Tensor values = parameter.data();  // in place, outside autograd
      values.sub_(parameter.grad(), kLearningRate);
      parameter.mutable_grad().reset();
    }
  }
  run.peak_bytes = memory->peak_bytes();
  return run;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return std::fputs("usage: train MODEL.pt MODEL.invact.pt\n", stderr), 2;
  invact::kernels::ensure_registered();  // links the operators; throws under another LibTorch
  // This model has dropout modules with p = 0. TorchScript's default executor would make a copy at
  // each, and take back what the rewrite freed (`invact rewrite` says so).
  torch::jit::getProfilingMode() = false;
  const Run before = train(argv[1]), after = train(argv[2]);
  bool same = true;
  for (int i = 0; i < kSteps; ++i) {
    std::printf("step %d  loss %.6f  %.6f\n", i, before.losses[i], after.losses[i]);
    same &= std::abs(before.losses[i] - after.losses[i]) <= 1e-4 * std::abs(before.losses[i]);
  }
  std::printf("peak    %.1f MiB  %.1f MiB\n", static_cast<double>(before.peak_bytes) / (1 << 20),
              static_cast<double>(after.peak_bytes) / (1 << 20));
  return same && after.peak_bytes < before.peak_bytes ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "train: %s\n", error.what());
  return 1;
}
