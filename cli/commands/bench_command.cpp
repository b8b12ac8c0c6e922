// invact bench
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "analyzer/bench_result.h"
#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/environment.h"
#include "analyzer/observation/session.h"
#include "analyzer/observation/step_turns.h"
#include "analyzer/reporting/build_report.h"
#include "analyzer/reporting/json.h"
#include "cli/commands/commands.h"
#include "cli/output_file.h"
#include "cli/render/render.h"
#include "cli/terminal.h"

namespace invact {
namespace {

struct BenchOptions {
  std::string model;
  std::string rewritten;  ///< Empty: the model alone.
  RunOptions run;
  int64_t pairs = kLeastPairs;
  int64_t warmup = 2;
  std::string json;
};

constexpr int64_t kMostPairs = 1'000'000;

/// A model that has run, so that its steps from now on are like every later one.
struct Runner {
  Model model;
  std::vector<at::Tensor> cotangents;
};

Model load(const std::string& path, const RunSettings& settings) {
  Model model = load_model(path, settings.device);
  refuse_frozen(model);
  return model;
}

Runner make_runner(Model model, const ModelInputs& inputs, const RunSettings& settings) {
  Runner runner{std::move(model), {}};
  warm_up(runner.model, inputs, settings);
  runner.cotangents = draw_cotangents(runner.model, inputs, settings);
  return runner;
}

StepClock clock_of(std::optional<Runner>& runner, const ModelInputs& inputs,
                   const RunSettings& settings) {
  if (!runner) return {};
  return [&] { return time_step(runner->model, inputs, settings, runner->cotangents); };
}

Report observe(Runner& runner, const ModelInputs& inputs, const RunSettings& settings) {
  return build_report(observe_step(runner.model, inputs, settings));
}

BenchSide side_of(const Report& report, std::vector<int64_t> step_ns) {
  return {report.model, std::move(step_ns), report.totals.saved_bytes, report.timeline->peak};
}

BenchResult measure(const BenchOptions& options, Progress& progress) {
  const auto specs = input_specs(options.run);
  const RunSettings settings = start_run(options.run);
  progress.step("Loading");
  Model model = load(options.model, settings);
  std::optional<Model> other;
  if (!options.rewritten.empty()) other = load(options.rewritten, settings);
  const ModelInputs inputs = make_inputs(model, specs, settings.seed, settings.device);
  progress.step("Warming up");
  std::optional<Runner> original = make_runner(std::move(model), inputs, settings), rewritten;
  if (other) rewritten = make_runner(std::move(*other), inputs, settings);

  const StepClock original_clock = clock_of(original, inputs, settings);
  const StepClock rewritten_clock = clock_of(rewritten, inputs, settings);
  take_turns(options.warmup, original_clock, rewritten_clock, [&] { progress.step("Warming up"); });
  int64_t begun = 0;
  StepTimes times = take_turns(options.pairs, original_clock, rewritten_clock, [&] {
    progress.step(fmt::format("Timing, {} of {}", ++begun, options.pairs));
  });

  // After the times: the observer stays in autograd's place once it has been there.
  progress.step("Observing memory");
  const Report report = observe(*original, inputs, settings);
  BenchResult result;
  result.inputs = report.inputs;
  result.run = report.run;
  result.warmup_count = options.warmup;
  result.allocator = report.timeline->backend;
  result.original = side_of(report, std::move(times.original_ns));
  if (rewritten) {
    result.rewritten =
        side_of(observe(*rewritten, inputs, settings), std::move(times.rewritten_ns));
  }
  return result;
}

ExitCode run_bench(const BenchOptions& options, const GlobalOptions& global) {
  BenchResult result;
  {
    Progress progress(global, /*step_count=*/3 + options.warmup + options.pairs);
    result = measure(options, progress);
  }
  if (!options.json.empty()) {
    auto document = document_head(current_environment());
    document.update(to_json(result));
    write_text(options.json, document.dump(2) + "\n");
  }
  if (options.json != "-") {
    write_text("-", render_bench(result, stdout_options(global)));
  }
  for (const std::string& note : bench_notes(result)) say(global, note);
  return kExitDone;
}

}  // namespace

Command add_bench_command(CLI::App& app, const GlobalOptions& global) {
  const auto state = std::make_shared<BenchOptions>();
  BenchOptions& options = *state;
  CLI::App* const command = app.add_subcommand(
      "bench", "Time and peak memory of a training step, of a model and its rewrite in turn");
  command->add_option("MODEL", options.model, "The TorchScript file")->required();
  command->add_option("REWRITTEN", options.rewritten,
                      "What to measure it against; without it the model alone is measured");
  command->add_option("--json", options.json, "Write the result as JSON; - for stdout")
      ->group("Output")
      ->type_name("FILE");
  add_run_options(*command, options.run);
  command
      ->add_option(
          "--pairs", options.pairs,
          fmt::format("Steps of each model, in turn; a figure that counts needs {}", kLeastPairs))
      ->group("Run")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, kMostPairs))
      ->capture_default_str();
  command->add_option("--warmup", options.warmup, "Pairs that are run before and not counted")
      ->group("Run")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, kMostPairs))
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  invact bench model.pt model.invact.pt\n"
      "  invact bench model.pt model.invact.pt --threads 1 --pairs 31 --json bench.json\n"
      "  invact bench model.pt model.pt        how far this machine's noise alone goes");
  return {command, [state, &global] { return run_bench(*state, global); }};
}

}  // namespace invact
