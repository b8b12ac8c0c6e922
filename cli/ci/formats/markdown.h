// A summary of a CI run as Markdown (GitHub's flavour, which GitLab reads too). Pure.
#pragma once

#include <cstdint>
#include <string>

#include "cli/ci/gates.h"

namespace invact {

/// Totals, gates, what changed against the baseline, and the `top` largest duplicates.
std::string markdown_summary(const CiResult& result, int64_t top);

/// `text` as a code span that may stand in a table's cell.
std::string markdown_code(const std::string& text);

}  // namespace invact
