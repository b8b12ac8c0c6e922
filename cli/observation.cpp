#include "cli/observation.h"

namespace invact {
namespace {

void strip(const std::string& prefix, SourceLocation& source) {
  if (source.file.starts_with(prefix)) {
    source.file.erase(0, prefix.size());
    while (source.file.starts_with('/')) source.file.erase(0, 1);
  }
}

}  // namespace

Observation observe_model(const std::string& path, const RunOptions& run, const PlanOptions& plan,
                          bool check_backward, Progress& progress) {
  const auto specs = input_specs(run);
  Observation observation;
  observation.settings = start_run(run);
  progress.step("Loading " + path);
  observation.model = load_model(path, observation.settings.device);
  refuse_frozen(observation.model);
  observation.inputs = make_inputs(observation.model, specs, run.seed, observation.settings.device);
  progress.step("Observing what one forward keeps");
  observation.report =
      build_report(observe_forward(observation.model, observation.inputs, observation.settings));
  if (check_backward && observation.model.record.requires_grad) {
    progress.step("Running forward and backward without observation");
    run_step(observation.model, observation.inputs, observation.settings);
  }
  progress.step("Planning");
  observation.plan = make_plan(observation.report, observation.model, plan);
  return observation;
}

void strip_source_prefix(const std::string& prefix, Observation& observation) {
  if (prefix.empty()) return;
  for (OperatorCall& call : observation.report.calls) strip(prefix, call.source);
  for (Site& site : observation.plan.sites) strip(prefix, site.source);
}

}  // namespace invact
