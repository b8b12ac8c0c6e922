#include "bench/goals_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace invact::bench {
namespace {

constexpr int kLabelWidth = 36;
constexpr int kGoalWidth = 11;
constexpr int kColumnWidth = 11;

struct Column {
  std::string device;
  int64_t element_count;
  int thread_count;
  auto operator<=>(const Column&) const = default;
};

struct Line {
  std::string label;
  Goal goal;
  std::vector<std::pair<Column, const Finding*>> cells;
};

Column column_of(const Subject& subject) {
  return {subject.device, subject.element_count, subject.thread_count};
}

/// "2^20", or the digits of a number that is no power of two.
std::string count_text(int64_t count) {
  for (int exponent = 0; exponent < 63; ++exponent) {
    if (count == int64_t{1} << exponent) return fmt::format("2^{}", exponent);
  }
  return std::to_string(count);
}

std::string heading(const Column& column) {
  const std::string count = count_text(column.element_count);
  return column.thread_count > 0 ? fmt::format("{} x{}", count, column.thread_count) : count;
}

std::string goal_text(const Goal& goal) {
  return fmt::format("{:.2f} {}", goal.limit, goal.unit == Unit::kRatioToAten ? "ATen" : "copies");
}

std::vector<Line> lines_of(std::span<const Finding> findings) {
  std::vector<Line> lines;
  for (const Finding& finding : findings) {
    const Subject& subject = finding.subject;
    for (const Goal& goal : goals_for(subject)) {
      const std::string label = fmt::format("{:4} {:8} {:12} {}", subject.device, subject.direction,
                                            subject.op, subject.dtype);
      auto line = std::ranges::find_if(lines, [&](const Line& other) {
        return other.label == label && other.goal.unit == goal.unit &&
               other.goal.limit == goal.limit;
      });
      if (line == lines.end()) line = lines.insert(lines.end(), {label, goal, {}});
      line->cells.emplace_back(column_of(subject), &finding);
    }
  }
  std::ranges::stable_sort(lines, {}, &Line::label);
  return lines;
}

std::vector<Column> columns_of(const std::vector<Line>& lines, std::string_view device) {
  std::vector<Column> columns;
  for (const Line& line : lines) {
    for (const auto& [column, finding] : line.cells) {
      if (column.device == device) columns.push_back(column);
    }
  }
  std::ranges::sort(columns);
  columns.erase(std::ranges::unique(columns).begin(), columns.end());
  return columns;
}

std::string cell_text(const Line& line, const Column& column) {
  const auto cell =
      std::ranges::find(line.cells, column, &std::pair<Column, const Finding*>::first);
  if (cell == line.cells.end()) return "";
  const bool met = is_met(line.goal, *cell->second);
  return fmt::format("{:.2f}{}", in_unit(*cell->second, line.goal.unit).median, met ? " " : "!");
}

void render_device(const std::vector<Line>& lines, std::string_view device, std::string& text) {
  const std::vector<Column> columns = columns_of(lines, device);
  if (columns.empty()) return;
  fmt::format_to(std::back_inserter(text), "{:{}}{:{}}", "", kLabelWidth, "goal", kGoalWidth);
  for (const Column& column : columns) {
    fmt::format_to(std::back_inserter(text), "{:>{}}", heading(column), kColumnWidth);
  }
  text += '\n';
  for (const Line& line : lines) {
    if (line.cells.front().first.device != device) continue;
    fmt::format_to(std::back_inserter(text), "{:{}}{:{}}", line.label, kLabelWidth,
                   goal_text(line.goal), kGoalWidth);
    for (const Column& column : columns) {
      fmt::format_to(std::back_inserter(text), "{:>{}}", cell_text(line, column), kColumnWidth);
    }
    text += '\n';
  }
}

}  // namespace

std::string render_goals(std::span<const Finding> findings) {
  const std::vector<Line> lines = lines_of(findings);
  if (lines.empty()) return "";
  int met = 0;
  int total = 0;
  for (const Line& line : lines) {
    for (const auto& [column, finding] : line.cells) {
      met += is_met(line.goal, *finding) ? 1 : 0;
      ++total;
    }
  }
  std::string text =
      "Medians beside the goals of issue 5, by elements and threads; ! marks a goal missed, which "
      "is"
      " where the\nlower quartile lies above it. ATen: our time over ATen's. copies: over that of "
      "a "
      "plain copy of the same bytes.\n\n";
  render_device(lines, "cpu", text);
  render_device(lines, "cuda", text);
  fmt::format_to(std::back_inserter(text), "\n{} of {} goals met\n", met, total);
  return text;
}

}  // namespace invact::bench
