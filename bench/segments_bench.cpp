// What a recompute segment costs a training step beside the segment's operators themselves: steps
// of a model of tiny tensors with and without segments, where next to nothing but fixed cost is
// left.
//
//   invact_segments_bench [--benchmark_format=json] [Google Benchmark's own flags]
//
// Three sides in turn in one process (comparison.h): the model with segments, the same without, and
// what the segments' methods do once more, called from C++. A line's time is the step with
// segments; `extra_us_per_region` is what it takes longer than the other model, and
// `fixed_us_per_region` that less the segment's operators: medians of the differences by pair. One
// thread's own time.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/comparison.h"

namespace invact::bench {
namespace {

constexpr int kPairs = 301;
constexpr int kBlocks = 8;
constexpr int kSegments = 2 * kBlocks;
constexpr int64_t kRows = 4;
constexpr int64_t kWidth = 8;

constexpr const char* kSegmentMethods = R"(
def norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.layer_norm(x, [8], weight, bias)

def gelu(self, h: Tensor) -> Tensor:
    return torch.gelu(h)
)";
constexpr const char* kPlainBlock = R"(
    a = torch.gelu(torch.linear(torch.layer_norm(x, [8], self.s, self.b), self.u))
    x = torch.linear(a, self.d))";
constexpr const char* kSegmentBlock = R"(
    y = invact.recompute(self, "norm", [x, self.s, self.b])
    h = torch.linear(y, self.u)
    invact.release(y, [h], True)
    a = invact.recompute(self, "gelu", [h])
    x = torch.linear(a, self.d)
    invact.release(a, [x], True))";

struct InvactResolver : torch::jit::NativeResolver {
  std::shared_ptr<torch::jit::SugaredValue> resolveValue(
      const std::string& name, torch::jit::GraphFunction& method,
      const torch::jit::SourceRange& range) override {
    if (name == "invact") return std::make_shared<torch::jit::BuiltinModule>(name);
    return NativeResolver::resolveValue(name, method, range);
  }
};

at::Tensor normal(at::IntArrayRef sizes) {
  return at::randn(sizes).requires_grad_();
}

class Model {
 public:
  explicit Model(const char* block) : module_("M") {
    at::manual_seed(1);
    for (const char* name : {"s", "b"}) module_.register_parameter(name, normal({kWidth}), false);
    for (const char* name : {"u", "d"}) {
      module_.register_parameter(name, normal({kWidth, kWidth}), false);
    }
    std::string source = kSegmentMethods;
    source += "\ndef forward(self, x: Tensor) -> Tensor:";
    for (int i = 0; i < kBlocks; ++i) source += block;
    module_.define(source + "\n    return x\n", std::make_shared<InvactResolver>());
    for (const at::Tensor& parameter : module_.parameters()) parameters_.push_back(parameter);
  }

  void step() {
    const at::Tensor output = module_.forward({input_}).toTensor();
    torch::autograd::backward({output}, {grad_output_});
  }

  /// The second runs alone.
  void run_methods() {
    for (int i = 0; i < kBlocks; ++i) {
      benchmark::DoNotOptimize(at::layer_norm(input_, {kWidth}, parameters_[0], parameters_[1]));
      benchmark::DoNotOptimize(at::gelu(input_));
    }
  }

 private:
  torch::jit::Module module_;
  std::vector<at::Tensor> parameters_;
  at::Tensor input_ = normal({kRows, kWidth});
  at::Tensor grad_output_ = at::randn({kRows, kWidth});
};

void run(benchmark::State& state, bool is_optimized) {
  at::set_num_threads(1);
  const torch::jit::GraphOptimizerEnabledGuard guard(is_optimized);
  Model plain(kPlainBlock);
  Model segments(kSegmentBlock);
  for (int i = 0; i < 3; ++i) {  // the executor's profiling
    plain.step();
    segments.step();
  }
  const auto plain_step = [&] { plain.step(); };
  const auto segment_step = [&] { segments.step(); };
  const auto methods = [&] { plain.run_methods(); };
  const Samples samples = compare(Clock::kThread, kPairs, /*is_cacheable=*/true,
                                  {plain_step, segment_step, methods}, [&](double seconds) {
                                    if (state.KeepRunning()) state.SetIterationTime(seconds);
                                  });
  while (state.KeepRunning()) {
  }
  std::vector<double> extra;
  std::vector<double> fixed;
  for (size_t i = 0; i < samples.ours.size(); ++i) {
    extra.push_back((samples.ours[i] - samples.aten[i]) * 1e6 / kSegments);
    fixed.push_back(extra.back() - samples.copy[i] * 1e6 / kSegments);
  }
  const auto report = [&](const std::string& name, std::vector<double> values) {
    const Quartiles found = quartiles(std::move(values));
    state.counters[name] = found.median;
    state.counters[name + "_lower"] = found.lower;
    state.counters[name + "_upper"] = found.upper;
  };
  report("extra_us_per_region", std::move(extra));
  report("fixed_us_per_region", std::move(fixed));
  state.counters["plain_step_us"] = quartiles(samples.aten).median * 1e6;
}

void add(const char* name, bool is_optimized) {
  benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { run(state, is_optimized); })
      ->Iterations(kPairs)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

int run_all(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("segments", std::to_string(kSegments));
  add("segments/default_executor", true);
  add("segments/not_optimized", false);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace invact::bench

int main(int argc, char** argv) {
  return invact::bench::run_all(argc, argv);
}
