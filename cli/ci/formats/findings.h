// The findings of a run in CI, place by place: gates that failed, then what is saved twice. SARIF
// and GitHub annotations are two spellings of this list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/ci/gates.h"

namespace invact {

struct Finding {
  bool failed_gate = false;  ///< An error; otherwise a warning that something is saved twice.
  std::string rule_id;       ///< Stable: "gate/max-saved", "kept-twice/activation".
  std::string rule_text;     ///< One sentence about all findings of this rule.
  std::string message;
  std::string advice;   ///< What can be done about it; may be empty.
  Place place;          ///< Of a gate: the whole model, line unknown.
  int64_t ordinal = 1;  ///< From 1, among findings of the same rule, module and operator.
  int64_t bytes = 0;    ///< Above the limit, or saved twice.
};

/// Failed gates in their order, then duplicates, the largest first.
std::vector<Finding> findings(const CiResult& result);

/// What stays the same when lines move: rule, module and operator.
std::string finding_key(const Finding& finding);

}  // namespace invact
