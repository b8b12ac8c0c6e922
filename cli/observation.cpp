#include "cli/observation.h"

#include <algorithm>

#include "analyzer/observation/environment.h"
#include "analyzer/reporting/build_device_report.h"
#include "analyzer/reporting/build_report.h"
#include "analyzer/reporting/json.h"
#include "cli/text/source_path.h"
#include "rewriter/json.h"

namespace invact {
namespace {

/// The report of the same model as the profiling executor runs it, beside `eager`.
Report observe_default_executor(const std::string& path, const Observation& observation,
                                Progress& progress) {
  const RunSettings& settings = observation.settings;
  select_executor(Executor::kDefault);
  // A graph that has run keeps its executor: a fresh copy.
  Model model = load_model(path, settings.device);
  Report report = build_report(observe(model, observation.inputs, settings, progress));
  report.executors = compare_executors(observation.report, report);
  report.notes.push_back(
      "The default executor differentiates parts of the graph as a whole: which operator keeps a "
      "tensor there cannot be told, and the floor counts all of it. Sites and the prediction of a "
      "rewrite hold for the executor 'eager'.");
  return report;
}

}  // namespace

Trace observe(Model& model, const ModelInputs& inputs, const RunSettings& settings,
              Progress& progress, DeviceWatch* watch) {
  if (warm_up_steps(settings) > 0) {
    progress.step("Warming up");
    warm_up(model, inputs, settings);
  }
  progress.step("Observing one training step");
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

Observation observe_model(const std::string& path, const RunOptions& run, const PlanOptions& plan,
                          bool check_backward, Progress& progress) {
  const auto specs = input_specs(run);
  Observation observation;
  observation.settings = start_run(run);
  RunSettings eager = observation.settings;
  eager.executor = Executor::kEager;
  select_executor(eager.executor);
  // Before the model is loaded: memory that the driver hands out earlier is not seen.
  std::optional<DeviceWatch> watch;
  if (check_backward && eager.device.is_cuda()) watch.emplace(eager.device, !run.no_cupti);
  progress.step("Loading " + path);
  observation.model = load_model(path, eager.device);
  refuse_frozen(observation.model);
  observation.inputs = make_inputs(observation.model, specs, run.seed, eager.device);
  observation.report =
      build_report(check_backward ? observe(observation.model, observation.inputs, eager, progress,
                                            watch ? &*watch : nullptr)
                                  : observe_forward(observation.model, observation.inputs, eager));
  if (watch && observation.model.record.requires_grad) {
    observation.device = watch->report(observation.report.totals.saved_bytes);
    use_device_times(*observation.device, observation.report.calls);
  }
  progress.step("Planning");
  observation.plan = make_plan(observation.report, observation.model, plan);
  if (observation.settings.executor == Executor::kDefault) {
    observation.report = observe_default_executor(path, observation, progress);
  }
  return observation;
}

void strip_source_prefix(const std::string& prefix, Observation& observation) {
  for (OperatorCall& call : observation.report.calls) strip_prefix(prefix, call.source);
  for (Site& site : observation.plan.sites) strip_prefix(prefix, site.source);
}

namespace {

/// The site that stands where a duplicate arises; null: none.
nlohmann::ordered_json site_json(const Plan& plan, const OperatorCall& call) {
  const auto site = std::ranges::find_if(
      plan.sites, [&call](const Site& candidate) { return candidate.is_called_by(call); });
  return site == plan.sites.end() ? nlohmann::ordered_json(nullptr)
                                  : nlohmann::ordered_json(site->id);
}

}  // namespace

nlohmann::ordered_json analyze_document(const Observation& observation) {
  const Report& report = observation.report;
  auto document = document_head(current_environment());
  document.update(to_json(report));
  for (size_t i = 0; i < report.duplicates.size(); ++i) {
    document["duplicates"][i]["site"] =
        site_json(observation.plan, report.call(report.duplicates[i].call));
  }
  document["totals"]["reclaimable_bytes"] =
      observation.plan.saved_bytes_before - observation.plan.saved_bytes_after;
  document["sites"] = sites_json(observation.plan);
  document["prediction"] = prediction_json(observation.plan);
  if (observation.device) {
    document["cuda"] = to_json(*observation.device);
    document["cuda"]["sites"] = site_times_json(site_times(observation.plan, *observation.device));
  }
  return document;
}

}  // namespace invact
