#include "cli/commands/analysis_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "analyzer/observation/environment.h"
#include "analyzer/reporting/json.h"
#include "cli/text/source_path.h"
#include "rewriter/json.h"
#include "rewriter/site_times.h"

namespace invact {
namespace {

/// The site that stands where a duplicate arises; null: none.
nlohmann::ordered_json site_json(const Plan& plan, const OperatorCall& call) {
  const auto site = std::ranges::find_if(
      plan.sites, [&call](const Site& candidate) { return candidate.is_called_by(call); });
  return site == plan.sites.end() ? nlohmann::ordered_json(nullptr)
                                  : nlohmann::ordered_json(site->id);
}

}  // namespace

Analysis run_analysis(const std::string& path, const RunOptions& run, ObservedPart part,
                      PlanOptions plan, Progress& progress) {
  AnalysisOptions options;
  options.inputs = input_specs(run);
  options.run = start_run(run);
  options.part = part;
  options.use_cupti = !run.no_cupti;
  options.plan = std::move(plan);
  options.on_progress = [&progress](const std::string& what) { progress.step(what); };
  return analyze_model(path, options);
}

void strip_source_prefix(const std::string& prefix, Analysis& analysis) {
  for (OperatorCall& call : analysis.report.calls) strip_prefix(prefix, call.source);
  for (Site& site : analysis.plan.sites) strip_prefix(prefix, site.source);
}

nlohmann::ordered_json analyze_document(const Analysis& analysis) {
  const Report& report = analysis.report;
  auto document = document_head(current_environment());
  document.update(to_json(report));
  for (size_t i = 0; i < report.duplicates.size(); ++i) {
    document["duplicates"][i]["site"] =
        site_json(analysis.plan, report.call(report.duplicates[i].call));
  }
  document["totals"]["reclaimable_bytes"] =
      analysis.plan.saved_bytes_before - analysis.plan.saved_bytes_after;
  document["sites"] = sites_json(analysis.plan);
  document["prediction"] = prediction_json(analysis.plan);
  if (analysis.device) {
    document["cuda"] = to_json(*analysis.device);
    document["cuda"]["sites"] = site_times_json(site_times(analysis.plan, *analysis.device));
  }
  return document;
}

}  // namespace invact
