// Workflow commands of GitHub Actions (`::warning file=...::text`), which become annotations of a
// pull request's lines. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "cli/ci/gates.h"

namespace invact {

/// GitHub shows ten errors and ten warnings per step and drops the rest without a word.
inline constexpr size_t kMaxAnnotations = 10;

/// A line per failed gate and per duplicate, at most kMaxAnnotations; the last one says how many
/// more there are.
std::string github_annotations(const CiResult& result);

}  // namespace invact
