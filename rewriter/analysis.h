// The analysis of a model, from its file to a plan: load, observe a training step, report what it
// saves, plan what a rewrite would change. What `invact analyze` and `invact rewrite` begin with,
// and programs that link the rewriter.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/device_report.h"
#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/device_step.h"
#include "analyzer/observation/session.h"
#include "analyzer/report.h"
#include "rewriter/plan.h"
#include "rewriter/planning/planner.h"

namespace invact {

/// How much of a training step is observed.
enum class ObservedPart {
  kForward,    ///< Enough for a plan, but an in-place write to a saved tensor is not found.
  kWholeStep,  ///< Backward too: finds such writes, and the report has a memory timeline.
};

/// Called with what is about to be done: "Loading model.pt", "Planning".
using OnProgress = std::function<void(const std::string& what)>;

struct AnalysisOptions {
  RunSettings run;
  std::vector<InputSpec> inputs = {};  ///< Unused where the inputs themselves are given.
  ObservedPart part = ObservedPart::kForward;
  bool use_cupti = true;  ///< Where the device is a GPU and the whole step is observed.
  PlanOptions plan = {};
  OnProgress on_progress = [](const std::string&) {};
};

struct Analysis {
  Model model;
  ModelInputs inputs;
  RunSettings settings;
  Report report;
  Plan plan;
  std::optional<DeviceReport> device;  ///< Of the observed step, on a GPU.
};

/// Analyzes the model in the file `path`. Call prepare_process() before. Under the default executor
/// the report is of that executor, with the eager one beside it, and the plan of the eager one.
/// @throws Error(kModel) where it cannot be loaded or run, Error(kUsage) where an input or an
/// operator's name does not fit, Error(kEnvironment) where memory or the device fails.
Analysis analyze_model(const std::string& path, const AnalysisOptions& options);

/// Analyzes a model that is loaded already, by the eager executor and without a GPU's records.
Analysis analyze_model(Model model, ModelInputs inputs, const AnalysisOptions& options);

/// Observes one step, after a warm-up where the first step is not like the others; forward alone
/// where there is nothing to differentiate. `watch` looks at that step too; null: nothing does.
Trace observe_warm_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                        const OnProgress& on_progress, DeviceWatch* watch = nullptr);

}  // namespace invact
