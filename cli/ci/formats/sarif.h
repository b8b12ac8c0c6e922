// SARIF 2.1.0 (OASIS), for code scanning: GitHub, GitLab, Visual Studio Code. Pure.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "cli/ci/gates.h"

namespace invact {

/// GitHub shows that many and refuses files with more than 25,000.
inline constexpr size_t kMaxSarifResults = 5000;

/// Failed gates as errors, duplicates as warnings, the largest first; what does not fit is counted
/// in a notification. schemas/sarif.schema.json describes exactly what is written.
nlohmann::ordered_json sarif_document(const CiResult& result);

}  // namespace invact
