// The steps that analyze and rewrite share: load a model, observe one step, report, plan.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "analyzer/device_report.h"
#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/device_step.h"
#include "analyzer/observation/session.h"
#include "analyzer/report.h"
#include "cli/options/run_options.h"
#include "cli/terminal.h"
#include "rewriter/planning/planner.h"

namespace invact {

struct Observation {
  Model model;
  ModelInputs inputs;
  RunSettings settings;
  Report report;
  Plan plan;
  std::optional<DeviceReport> device;  ///< Of the observed step, on a GPU.
};

/// Loads and observes `path`: a training step, or without `check_backward` its forward alone, which
/// does not find an in-place write to a saved tensor. @throws Error.
Observation observe_model(const std::string& path, const RunOptions& run, const PlanOptions& plan,
                          bool check_backward, Progress& progress);

/// Observes one step, after a warm-up where the first is not like the others; forward alone where
/// there is nothing to differentiate. `watch`: what else looks at that step; null: nothing.
Trace observe(Model& model, const ModelInputs& inputs, const RunSettings& settings,
              Progress& progress, DeviceWatch* watch = nullptr);

/// Drops `prefix` from every source path, for reports that leave the machine.
void strip_source_prefix(const std::string& prefix, Observation& observation);

/// The analyze document is Report and Plan together: only cli knows both.
nlohmann::ordered_json analyze_document(const Observation& observation);

}  // namespace invact
