// What `invact diff` prints, and the gates below it and below a report.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

std::string_view change_colour(int64_t change, const Style& style) {
  if (change == 0) return style.dim;
  return change > 0 ? style.bad : style.good;
}

/// The same columns for every row, or they would not add up to the eye.
std::string line(int64_t change, const std::string& note, const std::string& before,
                 const std::string& after, const std::string& text, const Style& style) {
  return fmt::format("  {}{:>11}  {:>10}{}  {:>10}  {:>10}  {}\n", change_colour(change, style),
                     format_change(change), note, style.reset, before, after, text);
}

std::string row_line(const DiffRow& row, const Style& style) {
  std::string note;
  if (row.old_bytes && row.new_bytes) {
    note = format_percent_change(row.change(), *row.old_bytes);
  } else {
    note = change_kind_name(*row.kind());
  }
  return line(row.change(), note, bytes_or_dash(row.old_bytes), bytes_or_dash(row.new_bytes),
              row_text(row), style);
}

std::string render_totals(const ReportDiff& diff, const Style& style) {
  std::string text = heading("TOTALS", style);
  text += fmt::format("  {:>11}  {:>10}  {:>10}  {:>10}\n", "change", "", "old", "new");
  for (const TotalRow& row : total_rows(diff)) {
    const std::string before = bytes_or_dash(row.old_bytes), after = bytes_or_dash(row.new_bytes);
    if (const auto change = row.change()) {
      text += line(*change, format_percent_change(*change, *row.old_bytes), before, after, row.name,
                   style);
    } else {
      text +=
          fmt::format("  {:>11}  {:>10}  {:>10}  {:>10}  {}\n", "", "", before, after, row.name);
    }
  }
  return text;
}

std::string sums_text(const ReportDiff& diff) {
  std::vector<std::string> parts;
  for (const ChangeKind kind : kChangeKinds) {
    const ChangeSum& sum = diff.sum(kind);
    if (sum.rows == 0) continue;
    parts.push_back(
        fmt::format("{} {} ({})", sum.rows, change_kind_name(kind), format_change(sum.bytes)));
  }
  parts.push_back(
      fmt::format("{} unchanged ({})", diff.unchanged_rows, format_bytes(diff.unchanged_bytes)));
  return fmt::format("  rows: {}\n", fmt::join(parts, ", "));
}

std::string render_rows(const ReportDiff& diff, const RenderOptions& options) {
  const Style& style = options.style;
  std::string text = heading("WHAT CHANGED (by module, operator and slot)", style);
  const size_t shown = std::min(diff.rows.size(), static_cast<size_t>(options.top));
  for (size_t i = 0; i < shown; ++i) text += row_line(diff.rows[i], style);
  if (shown < diff.rows.size()) {
    int64_t rest = 0;
    for (size_t i = shown; i < diff.rows.size(); ++i) rest += diff.rows[i].change();
    text +=
        line(rest, "", "", "",
             fmt::format("{}({} more){}", style.dim, diff.rows.size() - shown, style.reset), style);
  }
  const int64_t old_bytes = diff.old_report.totals.saved_bytes;
  text +=
      line(diff.change(), format_percent_change(diff.change(), old_bytes), format_bytes(old_bytes),
           format_bytes(diff.new_report.totals.saved_bytes), "TOTAL", style);
  return text + sums_text(diff);
}

}  // namespace

std::string render_diff(const ReportDiff& diff, const RenderOptions& options) {
  std::string text = fmt::format("{}{}{} -> {}{}{}\n", options.style.bold, diff.old_report.name,
                                 options.style.reset, options.style.bold, diff.new_report.name,
                                 options.style.reset);
  for (const SetupDifference& difference : diff.setup) {
    text += fmt::format("Note: the {} differs, so bytes do not compare: {} / {}\n", difference.what,
                        difference.old_value, difference.new_value);
  }
  text += render_totals(diff, options.style);
  if (diff.rows.empty()) {
    return text +
           fmt::format("\nNothing changed: {} rows keep what they kept.\n", diff.unchanged_rows);
  }
  return text + render_rows(diff, options);
}

std::string render_gates(const std::vector<Gate>& gates, const RenderOptions& options) {
  if (gates.empty()) return "";
  const Style& style = options.style;
  std::string text = heading("GATES", style);
  for (const Gate& gate : gates) {
    text += fmt::format("  {}{}{}  {:<14}{}\n", gate.passed ? style.good : style.bad,
                        gate.passed ? "passed" : "FAILED", style.reset, gate.name, gate.sentence);
  }
  return text;
}

}  // namespace invact
