// The formats in which a CI run is written, one .cpp each: pure functions from a CiResult to text
// or JSON. They know reports from their documents alone, and no model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/ci/gates.h"
#include "cli/ci/report_diff.h"

namespace invact {

/// The `gates` member of an analyze document.
nlohmann::ordered_json gates_json(const std::vector<Gate>& gates);

/// A diff document (schemas/diff.schema.json) but its head.
nlohmann::ordered_json diff_json(const ReportDiff& diff, const std::vector<Gate>& gates);

/// GitHub shows ten errors and ten warnings per step and drops the rest without a word.
inline constexpr size_t kMaxAnnotations = 10;

/// Workflow commands of GitHub Actions (`::warning file=...::text`), which become annotations of a
/// pull request's lines: a line per failed gate and per duplicate, at most kMaxAnnotations; the
/// last one says how many more there are.
std::string github_annotations(const CiResult& result);

/// JUnit XML, as GitLab and Jenkins read it: one suite for the model, one test case per gate. A
/// failed gate carries what explains it; `diff_text`, the diff as text for people, explains
/// max-growth.
std::string junit_xml(const CiResult& result, const std::string& diff_text);

/// `text` as an element's content: escaped, and without what XML 1.0 forbids even escaped (control
/// characters).
std::string xml_content(const std::string& text);

/// The same as an attribute's value, where a parser would turn line breaks into spaces.
std::string xml_attribute(const std::string& text);

/// A summary in Markdown (GitHub's flavour, which GitLab reads too): totals, gates, what changed
/// against the baseline, and the `top` largest duplicates.
std::string markdown_summary(const CiResult& result, int64_t top);

/// `text` as a code span that may stand in a table's cell.
std::string markdown_code(const std::string& text);

/// GitHub shows this many results and refuses files with more than 25,000.
inline constexpr size_t kMaxSarifResults = 5000;

/// SARIF 2.1.0 (OASIS), for code scanning: failed gates as errors, duplicates as warnings, the
/// largest first; what does not fit is counted in a notification. schemas/sarif.schema.json
/// describes exactly what is written.
nlohmann::ordered_json sarif_document(const CiResult& result);

}  // namespace invact
