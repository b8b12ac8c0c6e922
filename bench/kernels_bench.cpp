// Time of every operator's forward and backward beside ATen's and beside a plain copy of the same
// bytes, by dtype, count and number of threads; on a GPU too where there is one; and the memory of
// training steps. What is compared: operator_table.h; how: comparison.h; what it should come to:
// goals.h.
//
//   invact_kernels_bench [--pairs=15] [Google Benchmark's own flags]
//   invact_kernels_bench --benchmark_filter='gelu/backward/float32/cpu'
//
// A line's time is ours per call; its counters are the ratio to ATen's time (median and quartiles
// of the pairs), the same in units of the copy, and ns per element of each; its label says what of
// ATen was timed. One thread is timed by its own processor time, several by the wall. The goals'
// table follows on stderr.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/goals.h"
#include "bench/goals_table.h"
#include "bench/kernel_comparisons.h"
#include "bench/training_memory.h"

namespace invact::bench {
namespace {

constexpr int kDefaultPairs = 15;

constexpr int kNameWidth = 54;

using Run = benchmark::BenchmarkReporter::Run;

double counter(const Run& run, const char* name) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? 0 : found->second.value;
}

std::string comparison_line(const Run& run) {
  return fmt::format("{:7.3f} {:7.3f} {:7.3f}  {:5.2f} [{:.2f} {:.2f}]  {:6.2f}  {}",
                     counter(run, "ns_per_element"), counter(run, "aten_ns_per_element"),
                     counter(run, "copy_ns_per_element"), counter(run, "ratio"),
                     counter(run, "ratio_lower"), counter(run, "ratio_upper"),
                     counter(run, "copy_units"), run.report_label);
}

std::string memory_line(const Run& run) {
  const auto side = [&](const std::string& prefix) {
    const auto mib = [&](const char* name) {
      constexpr double kMib = 1 << 20;
      return counter(run, (prefix + name).c_str()) / kMib;
    };
    return fmt::format("kept {:.2f} (predicted {:.2f}), peak {:.2f} (predicted {:.2f})",
                       mib("kept_bytes"), mib("predicted_kept_bytes"), mib("peak_bytes"),
                       mib("predicted_peak_bytes"));
  };
  return fmt::format("MiB: {}; ATen's: {}", side(""), side("aten_"));
}

/// What the bench prints while it runs: a line per comparison with what a reader wants of it. All
/// counters stand in the JSON (--benchmark_format=json, --benchmark_out=FILE).
class Console : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override {
    PrintBasicContext(&GetErrorStream(), context);
    GetOutputStream() << fmt::format("{:{}} {:>7} {:>7} {:>7}  {:>5} {:13}  {:>6}\n",
                                     "ns per element, medians", kNameWidth, "ours", "ATen", "copy",
                                     "ratio", "[quartiles]", "copies");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const bool is_comparison = run.counters.contains("ratio");
      GetOutputStream() << fmt::format("{:{}} {}\n", run.run_name.function_name, kNameWidth,
                                       is_comparison ? comparison_line(run) : memory_line(run));
    }
    GetOutputStream() << std::flush;
  }
};

void set_counters(benchmark::State& state, const Measurement& measurement) {
  auto& counters = state.counters;
  const Finding& finding = measurement.finding;
  counters["ratio"] = finding.ratio_to_aten.median;
  counters["ratio_lower"] = finding.ratio_to_aten.lower;
  counters["ratio_upper"] = finding.ratio_to_aten.upper;
  counters["copy_units"] = finding.copy_units.median;
  counters["copy_units_lower"] = finding.copy_units.lower;
  counters["copy_units_upper"] = finding.copy_units.upper;
  for (const Goal& goal : goals_for(finding.subject)) {
    const std::string name = goal.unit == Unit::kRatioToAten ? "ratio" : "copy_units";
    counters[name + "_goal"] = goal.limit;
    counters[name + "_goal_met"] = is_met(goal, finding) ? 1 : 0;
  }
  const auto ns_per_element = [&](const std::vector<double>& seconds) {
    return quartiles(seconds).median * 1e9 / static_cast<double>(finding.subject.element_count);
  };
  counters["ns_per_element"] = ns_per_element(measurement.samples.ours);
  counters["aten_ns_per_element"] = ns_per_element(measurement.samples.aten);
  counters["copy_ns_per_element"] = ns_per_element(measurement.samples.copy);
}

void add_comparison(const KernelComparison& comparison, int pairs, ComparisonRunner& runner,
                    std::vector<Finding>& findings) {
  const auto run = [&comparison, pairs, &runner, &findings](benchmark::State& state) {
    // A pair is an iteration; the clock is ours.
    const Measurement measurement = runner.run(comparison, pairs, [&](double seconds) {
      if (state.KeepRunning()) state.SetIterationTime(seconds);
    });
    while (state.KeepRunning()) {
    }
    set_counters(state, measurement);
    state.SetBytesProcessed(state.iterations() * measurement.bytes_per_call);
    state.SetLabel(comparison.aten_name());
    findings.push_back(measurement.finding);
  };
  benchmark::RegisterBenchmark(comparison.subject.name().c_str(), run)
      ->Iterations(pairs)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

void run_training(benchmark::State& state, const TrainingShape& shape, c10::DeviceType device,
                  const TrainedActivation& activation) {
  MemoryUse aten{};
  MemoryUse ours{};
  for (auto _ : state) {
    aten = measure_memory(shape, device, activation.aten);
    ours = measure_memory(shape, device, activation.ours);
  }
  const auto report = [&](const std::string& side, const MemoryUse& measured,
                          const MemoryUse& predicted) {
    state.counters[side + "kept_bytes"] = static_cast<double>(measured.saved_bytes);
    state.counters[side + "peak_bytes"] = static_cast<double>(measured.peak_bytes);
    state.counters[side + "predicted_kept_bytes"] = static_cast<double>(predicted.saved_bytes);
    state.counters[side + "predicted_peak_bytes"] = static_cast<double>(predicted.peak_bytes);
  };
  report("", ours, predict_memory(shape, /*saves_input=*/false, activation.branch_bits));
  report("aten_", aten, predict_memory(shape, /*saves_input=*/true, 0));
}

void add_training(c10::DeviceType device) {
  const bool on_gpu = device == c10::kCUDA;
  // Every tensor of the GPU's, bits included, is a multiple of 2 MiB: what the allocator rounds to.
  const TrainingShape shape = on_gpu ? TrainingShape{4, 4096, 1024, 4096, at::kBFloat16}
                                     : TrainingShape{4, 256, 128, 512, at::kFloat};
  for (const TrainedActivation& activation : trained_activations()) {
    const std::string name = "training_memory/" + activation.name +
                             (on_gpu ? "/bfloat16/cuda" : "/float32/cpu") +
                             "/blocks=" + std::to_string(shape.blocks);
    const auto run = [shape, device, &activation](benchmark::State& state) {
      run_training(state, shape, device, activation);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)->Iterations(1)->UseRealTime();
  }
}

/// Takes `--pairs=N` out of the arguments.
int take_pairs(int& argc, char** argv) {
  constexpr std::string_view kFlag = "--pairs=";
  constexpr long kMostPairs = 10000;
  int pairs = kDefaultPairs;
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    if (!std::string_view(argv[i]).starts_with(kFlag)) {
      argv[kept++] = argv[i];
      continue;
    }
    char* end = nullptr;
    const long value = std::strtol(argv[i] + kFlag.size(), &end, 10);
    if (*end != '\0' || value < 1 || value > kMostPairs) {
      std::fprintf(stderr, "invact_kernels_bench: '%s': give a number of pairs, 1 to %ld.\n",
                   argv[i], kMostPairs);
      std::exit(2);
    }
    pairs = static_cast<int>(value);
  }
  argc = kept;
  return pairs;
}

int run_all(int argc, char** argv) {
  // Some of ATen's backwards have no out form: what they free must come back with its pages, since
  // fresh ones cost more than the arithmetic.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  const int pairs = take_pairs(argc, argv);
  const bool has_format = std::any_of(argv, argv + argc, [](std::string_view argument) {
    return argument.starts_with("--benchmark_format");
  });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("pairs", std::to_string(pairs));

  ComparisonRunner runner;
  std::vector<Finding> findings;
  const std::vector<KernelComparison> comparisons = kernel_comparisons();
  for (const KernelComparison& comparison : comparisons)
    add_comparison(comparison, pairs, runner, findings);
  add_training(c10::kCPU);
  if (cuda::is_available()) add_training(c10::kCUDA);
  Console console;
  benchmark::RunSpecifiedBenchmarks(has_format ? nullptr : &console);
  benchmark::Shutdown();
  std::fputs(render_goals(findings).c_str(), stderr);
  return 0;
}

}  // namespace
}  // namespace invact::bench

int main(int argc, char** argv) {
  return invact::bench::run_all(argc, argv);
}
