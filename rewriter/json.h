// Plan and Verification -> JSON (schemas/rewrite.schema.json, schemas/verify.schema.json).
#pragma once

#include <nlohmann/json.hpp>

#include "rewriter/plan.h"
#include "rewriter/site_times.h"
#include "rewriter/verification/verification.h"

namespace invact {

/// The array `sites` of an analyze document and `plan` of a rewrite document.
nlohmann::ordered_json sites_json(const Plan& plan);

/// The array `cuda.sites` of an analyze document.
nlohmann::ordered_json site_times_json(const std::vector<SiteTime>& times);

nlohmann::ordered_json prediction_json(const Plan& plan);

nlohmann::ordered_json to_json(const Verification& verification);

/// The same without the arrays of tensors: one of several runs.
nlohmann::ordered_json summary_json(const Verification& verification);

}  // namespace invact
