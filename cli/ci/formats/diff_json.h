// The bodies of JSON documents that only the command line knows: gates of an analyze document, and
// a diff (schemas/diff.schema.json). Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "cli/ci/gates.h"
#include "cli/ci/report_diff.h"

namespace invact {

nlohmann::ordered_json gates_json(const std::vector<Gate>& gates);

/// Everything of a diff document but its head.
nlohmann::ordered_json diff_json(const ReportDiff& diff, const std::vector<Gate>& gates);

}  // namespace invact
