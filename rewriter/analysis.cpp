#include "rewriter/analysis.h"

#include <utility>

#include "analyzer/reporting/build_device_report.h"
#include "analyzer/reporting/build_report.h"

namespace invact {
namespace {

/// The report of the same model as the profiling executor runs it, beside the eager one.
Report observe_default_executor(const std::string& path, const Analysis& eager,
                                const RunSettings& settings, const OnProgress& on_progress) {
  select_executor(Executor::kDefault);
  // A graph that has run stays with its executor: a fresh copy.
  Model model = load_model(path, settings.device);
  Report report = build_report(observe_warm_step(model, eager.inputs, settings, on_progress));
  report.executors = compare_executors(eager.report, report);
  report.notes.emplace_back(
      "The default executor differentiates parts of the graph as a whole: which operator keeps a "
      "tensor there cannot be told, and the floor counts all of it. Sites and the prediction of a "
      "rewrite hold for the executor 'eager'.");
  return report;
}

/// Observes and plans `analysis.model`.
void observe_and_plan(const AnalysisOptions& options, DeviceWatch* watch, Analysis& analysis) {
  Model& model = analysis.model;
  analysis.report = build_report(
      options.part == ObservedPart::kWholeStep
          ? observe_warm_step(model, analysis.inputs, analysis.settings, options.on_progress, watch)
          : observe_forward(model, analysis.inputs, analysis.settings));
  if (watch && model.record.requires_grad) {
    analysis.device = watch->report(analysis.report.totals.saved_bytes);
    use_device_times(*analysis.device, analysis.report.calls);
  }
  options.on_progress("Planning");
  analysis.plan = make_plan(analysis.report, model, options.plan);
}

}  // namespace

Trace observe_warm_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                        const OnProgress& on_progress, DeviceWatch* watch) {
  if (warm_up_steps(settings) > 0) {
    on_progress("Warming up");
    warm_up(model, inputs, settings);
  }
  on_progress("Observing one training step");
  if (!model.record.requires_grad) return observe_forward(model, inputs, settings);
  Trace trace;
  const auto step = [&] { trace = observe_step(model, inputs, settings); };
  if (watch) {
    watch->record(model, step);
  } else {
    step();
  }
  return trace;
}

Analysis analyze_model(const std::string& path, const AnalysisOptions& options) {
  Analysis analysis;
  analysis.settings = options.run;
  analysis.settings.executor = Executor::kEager;
  select_executor(Executor::kEager);
  const c10::Device device = options.run.device;
  // Before the model is loaded: memory that the driver hands out earlier is not seen.
  std::optional<DeviceWatch> watch;
  if (options.part == ObservedPart::kWholeStep && device.is_cuda()) {
    watch.emplace(device, options.use_cupti);
  }
  options.on_progress("Loading " + path);
  analysis.model = load_model(path, device);
  refuse_frozen(analysis.model);
  analysis.inputs = make_inputs(analysis.model, options.inputs, options.run.seed, device);
  observe_and_plan(options, watch ? &*watch : nullptr, analysis);
  analysis.settings = options.run;
  if (options.run.executor == Executor::kDefault) {
    analysis.report = observe_default_executor(path, analysis, options.run, options.on_progress);
  }
  return analysis;
}

Analysis analyze_model(Model model, ModelInputs inputs, const AnalysisOptions& options) {
  Analysis analysis;
  analysis.model = std::move(model);
  analysis.inputs = std::move(inputs);
  analysis.settings = options.run;
  analysis.settings.executor = Executor::kEager;
  observe_and_plan(options, nullptr, analysis);
  return analysis;
}

}  // namespace invact
