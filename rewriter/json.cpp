#include "rewriter/json.h"

#include <cmath>

#include "analyzer/reporting/json.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no infinity; a consumer must not take it for zero.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json comparison_json(const TensorComparison& comparison) {
  return {{"name", comparison.name},
          {"max_abs_error", number(comparison.max_abs_error)},
          {"max_rel_error", number(comparison.max_rel_error)},
          {"cosine", number(comparison.cosine)},
          {"distance", number(comparison.distance)},
          {"tolerance", number(comparison.tolerance)},
          {"worst",
           {{"index", comparison.worst_index},
            {"original", number(comparison.worst_original)},
            {"rewritten", number(comparison.worst_rewritten)}}}};
}

template <typename Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

Json sites_json(const Plan& plan) {
  Json array = Json::array();
  for (const Site& site : plan.sites) {
    array.push_back({{"id", site.id},
                     {"module", site.place.module_path},
                     {"op", site.op},
                     {"replacement", replacement_of(site.edit)},
                     {"source", to_json(site.source)},
                     {"strategy", site.strategy},
                     {"decision", site.decision.accepted ? "accepted" : "rejected"},
                     {"reason_code", site.decision.reason_code},
                     {"reason", site.decision.reason},
                     {"saved_bytes_delta", site.saved_bytes_delta},
                     {"extra_ns", site.extra_ns}});
  }
  return array;
}

Json site_times_json(const std::vector<SiteTime>& times) {
  Json array = Json::array();
  for (const SiteTime& time : times) {
    array.push_back(
        {{"id", time.id}, {"forward_ns", time.forward_ns}, {"backward_ns", time.backward_ns}});
  }
  return array;
}

Json prediction_json(const Plan& plan) {
  return {{"saved_bytes_before", plan.saved_bytes_before},
          {"saved_bytes_after", plan.saved_bytes_after},
          {"fewest_saved_bytes", plan.fewest_saved_bytes}};
}

Json summary_json(const Verification& verification) {
  Json document;
  document["passed"] = verification.passed;
  document["failures"] = verification.failures;
  document["notes"] = verification.notes;
  document["seed"] = verification.seed;
  document["inputs"] = to_json(verification.inputs);
  document["saved_bytes_before"] = verification.saved_bytes_before;
  document["saved_bytes_after"] = verification.saved_bytes_after;
  document["predicted_bytes"] = or_null(verification.predicted_bytes);
  document["gradient_distance"] = number(verification.gradient_distance);
  document["gradient_tolerance"] = number(verification.gradient_tolerance);
  document["reference_distance"] =
      verification.reference_distance ? number(*verification.reference_distance) : Json(nullptr);
  return document;
}

Json to_json(const Verification& verification) {
  Json document = summary_json(verification);
  document["outputs"] = Json::array();
  for (const auto& output : verification.outputs) {
    document["outputs"].push_back(comparison_json(output));
  }
  document["gradients"] = Json::array();
  for (const auto& gradient : verification.gradients) {
    document["gradients"].push_back(comparison_json(gradient));
  }
  return document;
}

}  // namespace invact
