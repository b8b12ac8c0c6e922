// Text for people about diffs and gates: pure functions from plain data to strings.
#pragma once

#include <string>
#include <vector>

#include "cli/ci/gates.h"
#include "cli/ci/report_diff.h"
#include "cli/render/render.h"

namespace invact {

/// One line of totals, old and new; a report may lack a number (the peak).
struct TotalRow {
  std::string name;  ///< As `invact analyze` calls it.
  std::string key;   ///< As JSON does.
  std::optional<int64_t> old_bytes;
  std::optional<int64_t> new_bytes;

  std::optional<int64_t> change() const;
};

/// saved, kept twice, a rewrite frees, floor, peak (where either report has one).
std::vector<TotalRow> total_rows(const ReportDiff& diff);

/// "-" where a report lacks the number.
std::string bytes_or_dash(const std::optional<int64_t>& bytes);

/// "+4.4 %"; "" where there was nothing before.
std::string format_percent_change(int64_t change, int64_t old_bytes);

/// "aten::linear #2 in features.1"; the first slot goes without a number.
std::string row_text(const DiffRow& row);

/// What `invact diff` prints.
std::string render_diff(const ReportDiff& diff, const RenderOptions& options);

/// One line per gate; "" where there is none.
std::string render_gates(const std::vector<Gate>& gates, const RenderOptions& options);

}  // namespace invact
