// How long a plan takes, by the depth of the model: each block is a norm, a linear, a gate of two
// linears, another linear and a residual sum, so that every kind of site has its turn.
//
//   invact_planning_bench [--benchmark_format=json] [Google Benchmark's own flags]
//
// A line's time is that of make_plan alone, for a model that was observed before; `sites` are those
// accepted. The last lines fit n log n to the times by depth, and say how far off they are (RMS).
#include <ATen/Functions.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/session.h"
#include "analyzer/reporting/build_report.h"
#include "kernels/register.h"
#include "rewriter/planning/planner.h"

namespace invact::bench {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kWidth = 16;

constexpr const char* kBlock = R"(
def forward(self, x):
    n = torch.layer_norm(x, [16], self.scale, self.shift)
    h = torch.gelu(torch.linear(n, self.up))
    g = torch.silu(torch.linear(h, self.gate)) * torch.linear(h, self.up)
    return x + torch.linear(g, self.down)
)";

torch::jit::Module block() {
  torch::jit::Module module("Block");
  for (const char* name : {"up", "gate", "down"}) {
    module.register_parameter(name, at::randn({kWidth, kWidth}).set_requires_grad(true), false);
  }
  module.register_parameter("scale", at::ones({kWidth}).set_requires_grad(true), false);
  module.register_parameter("shift", at::zeros({kWidth}).set_requires_grad(true), false);
  module.define(kBlock);
  return module;
}

/// Loaded from a file, as the command line does: a call is known by its place in an archive.
struct Observed {
  Model model;
  Report report;
};

Observed observe_ladder(int64_t depth) {
  torch::jit::Module top("Ladder");
  top.register_attribute("training", c10::BoolType::get(), true);
  const torch::jit::Module first = block();
  std::string source = "def forward(self, x):\n";
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name = "block" + std::to_string(i);
    top.register_module(name, i == 0 ? first : first.deepcopy());
    source += "    x = self." + name + ".forward(x)\n";
  }
  top.define(source + "    return x\n");
  const auto path = std::filesystem::temp_directory_path() /
                    ("invact_planning_bench_" + std::to_string(getpid()) + ".pt");
  top.save(path.string());
  Observed observed;
  observed.model = load_model(path.string(), c10::kCPU);
  std::filesystem::remove(path);
  ModelInputs inputs;
  inputs.values = {at::randn({kRows, kWidth})};
  observed.report = build_report(observe_forward(observed.model, inputs, {}));
  return observed;
}

void plan_ladder(benchmark::State& state) {
  static std::map<int64_t, Observed> ladders;
  const int64_t depth = state.range(0);
  if (!ladders.contains(depth)) ladders[depth] = observe_ladder(depth);
  const Observed& observed = ladders.at(depth);
  int64_t sites = 0;
  for (auto unused : state) {
    sites = make_plan(observed.report, observed.model, {}).accepted_count();
    benchmark::DoNotOptimize(sites);
  }
  state.counters["sites"] = static_cast<double>(sites);
  state.SetComplexityN(depth);
}

BENCHMARK(plan_ladder)
    ->Arg(2)
    ->Arg(8)
    ->Arg(32)
    ->Arg(128)
    ->Arg(512)
    ->Unit(benchmark::kMillisecond)
    ->Complexity(benchmark::oNLogN);

}  // namespace
}  // namespace invact::bench

int main(int argc, char** argv) {
  invact::kernels::ensure_registered();
  invact::RunSettings settings;
  settings.threads = 1;
  invact::prepare_process(settings);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
