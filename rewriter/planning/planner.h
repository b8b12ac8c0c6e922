// Makes a Plan: finds the sites of a model, joins them with what they did in the observed step,
// rejects what is unsafe or not wanted, and selects among the rest. Edits nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/model/model.h"
#include "analyzer/report.h"
#include "rewriter/plan.h"

namespace invact {

struct PlanOptions {
  /// Operators to consider: "gelu" (written out or not), "aten::gelu", "written-out gelu"; empty:
  /// all.
  std::vector<std::string> only;
  std::vector<std::string> skip;  ///< Operators to leave alone.
  bool exact = false;             ///< Only what leaves every gradient as it is, bit for bit.
  /// Strategies to consider: "output", "closed", "recompute"; empty: all.
  std::vector<std::string> strategies = {};
  /// The bytes that may be saved, given those that the original saves: segments are run again only
  /// as far as that needs. Null: as much is freed as can be.
  std::function<int64_t(int64_t saved_bytes_before)> budget = nullptr;
  /// Decisions by Site::id: true for each site to accept; sites that are not named are left alone.
  /// Null: everything that frees bytes is accepted.
  std::optional<std::map<std::string, bool>> decisions = std::nullopt;
};

/// Decides every site of `model` from what `report` saw it save. `report` must come from this
/// model.
/// @throws Error(kUsage) where an option names an operator or a site that is not there, or accepts
/// a site that cannot be accepted.
Plan make_plan(const Report& report, const Model& model, const PlanOptions& options);

}  // namespace invact
