// A summary in Markdown.
#include <fmt/format.h>

#include <algorithm>

#include "cli/ci/formats/formats.h"
#include "cli/text/size.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

/// Text outside of code spans: nothing in it is markup.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      result += ' ';
      continue;
    }
    if (std::string_view("\\`*_|<>[]#~").find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string totals_table(const ReportTotals& totals) {
  const auto row = [&](const char* name, int64_t bytes) {
    return fmt::format("| {} | {} | {:.1f} % |\n", name, format_bytes(bytes),
                       percent(bytes, totals.saved_bytes));
  };
  std::string text = "| kept for backward | bytes | of saved |\n| --- | ---: | ---: |\n";
  text += row("saved", totals.saved_bytes) + row("kept twice", totals.duplicate_bytes) +
          row("a rewrite frees", totals.reclaimable_bytes) + row("floor", totals.floor_bytes);
  if (totals.peak_bytes) {
    text += fmt::format("| peak of a step | {} | |\n", format_bytes(*totals.peak_bytes));
  }
  return text;
}

std::string gates_table(const std::vector<Gate>& gates) {
  std::string text = "\n### Gates\n\n| | gate | found |\n| --- | --- | --- |\n";
  for (const Gate& gate : gates) {
    text += fmt::format("| {} | {} | {} |\n", gate.passed ? "passed" : "**FAILED**",
                        markdown_code(gate.name), escaped(gate.sentence));
  }
  return text;
}

std::string diff_row(int64_t change, const std::string& note, const std::string& before,
                     const std::string& after, const std::string& what) {
  return fmt::format("| {} | {} | {} | {} | {} |\n", format_change(change), note, before, after,
                     what);
}

std::string diff_section(const ReportDiff& diff, int64_t top) {
  std::string text = fmt::format("\n### Against {}\n\n", markdown_code(diff.old_report.name));
  for (const SetupDifference& difference : diff.setup) {
    text += fmt::format("The {} differs, so bytes do not compare: {} / {}.\n\n", difference.what,
                        escaped(difference.old_value), escaped(difference.new_value));
  }
  text += "| change | | old | new | |\n| ---: | ---: | ---: | ---: | --- |\n";
  const size_t shown = std::min(diff.rows.size(), static_cast<size_t>(top));
  int64_t rest = diff.change();
  for (size_t i = 0; i < shown; ++i) {
    const DiffRow& row = diff.rows[i];
    const std::string note = row.old_bytes && row.new_bytes
                                 ? format_percent_change(row.change(), *row.old_bytes)
                                 : change_kind_name(*row.kind());
    text += diff_row(row.change(), note, bytes_or_dash(row.old_bytes), bytes_or_dash(row.new_bytes),
                     markdown_code(row_text(row)));
    rest -= row.change();
  }
  if (shown < diff.rows.size()) {
    text += diff_row(rest, "", "", "", fmt::format("{} more", diff.rows.size() - shown));
  }
  for (const TotalRow& total : total_rows(diff)) {
    if (const auto change = total.change()) {
      text += diff_row(*change, format_percent_change(*change, *total.old_bytes),
                       bytes_or_dash(total.old_bytes), bytes_or_dash(total.new_bytes),
                       fmt::format("**{}**", total.name));
    }
  }
  return text;
}

std::string duplicates_section(const std::vector<SavedTwice>& duplicates, int64_t top) {
  std::string text =
      "\n### Kept twice\n\n| bytes | kind | operator | module | source |\n"
      "| ---: | --- | --- | --- | --- |\n";
  const size_t shown = std::min(duplicates.size(), static_cast<size_t>(top));
  for (size_t i = 0; i < shown; ++i) {
    const SavedTwice& duplicate = duplicates[i];
    const std::string source = short_source(duplicate.place.source);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", format_bytes(duplicate.bytes),
                        escaped(duplicate.kind), markdown_code(duplicate.place.op),
                        markdown_code(module_text(duplicate.place)),
                        source.empty() ? "" : markdown_code(source));
  }
  if (shown < duplicates.size()) {
    int64_t rest = 0;
    for (size_t i = shown; i < duplicates.size(); ++i) rest += duplicates[i].bytes;
    text += fmt::format("| {} | {} more | | | |\n", format_bytes(rest), duplicates.size() - shown);
  }
  return text;
}

}  // namespace

std::string markdown_code(const std::string& text) {
  // A code span's fence is one backtick longer than the longest run inside.
  size_t longest = 0, run = 0;
  std::string content;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
    if (c == '|') content += '\\';  // ends a cell even within a code span
    content += c == '\n' || c == '\r' ? ' ' : c;
  }
  const std::string fence(longest + 1, '`');
  const char* const gap = longest > 0 ? " " : "";
  return fence + gap + content + gap + fence;
}

std::string markdown_summary(const CiResult& result, int64_t top) {
  std::string text = fmt::format("## invact: {}\n\n", markdown_code(result.report.model_path));
  text += totals_table(result.report.totals);
  if (!result.gates.empty()) text += gates_table(result.gates);
  if (result.diff) text += diff_section(*result.diff, top);
  if (!result.report.duplicates.empty()) {
    text += duplicates_section(result.report.duplicates, top);
  }
  return text;
}

}  // namespace invact
