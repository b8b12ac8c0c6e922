// Live bytes of a step over time, drawn with characters.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kLabelColumns = 14;
constexpr int64_t kMaxColumns = 120;

struct Marks {
  const char* parameters;
  const char* saved;
  const char* others;
  const char* peak;
  const char* side;
  const char* corner;
  const char* axis;
  const char* boundary;
};
constexpr Marks kUnicodeMarks = {"░", "█", "▒", "▼", "│", "└", "─", "┴"};
constexpr Marks kAsciiMarks = {".", "#", "+", "v", "|", "+", "-", "^"};

int64_t total(const BytesByKind& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
}

/// The column in which a moment of the step falls.
int64_t column_of(int64_t time_ns, const MemoryTimeline& timeline, int64_t columns) {
  if (timeline.end_ns <= 0) return 0;
  const double place = static_cast<double>(time_ns) / static_cast<double>(timeline.end_ns);
  return std::clamp<int64_t>(static_cast<int64_t>(place * static_cast<double>(columns)), 0,
                             columns - 1);
}

/// For each column the highest point within it; where it has none, what was live before.
std::vector<BytesByKind> bytes_by_column(const MemoryTimeline& timeline, int64_t columns) {
  std::vector<BytesByKind> result(columns);
  std::vector<bool> filled(columns, false);
  std::vector<BytesByKind> last(columns);
  for (const TimelinePoint& point : timeline.points) {
    const int64_t column = column_of(point.time_ns, timeline, columns);
    if (!filled[column] || total(point.live_bytes) > total(result[column])) {
      result[column] = point.live_bytes;
    }
    filled[column] = true;
    last[column] = point.live_bytes;
  }
  for (int64_t i = 1; i < columns; ++i) {
    if (filled[i]) continue;
    result[i] = last[i] = last[i - 1];
  }
  return result;
}

/// What stands in a cell whose middle lies at `bytes`: parameters at the bottom, then saved.
const char* cell(const BytesByKind& live, double bytes, const Marks& marks) {
  const auto of = [&](MemoryKind kind) {
    return static_cast<double>(live[static_cast<size_t>(kind)]);
  };
  if (bytes < of(MemoryKind::kParameters)) return marks.parameters;
  if (bytes < of(MemoryKind::kParameters) + of(MemoryKind::kSaved)) return marks.saved;
  return bytes < static_cast<double>(total(live)) ? marks.others : " ";
}

std::string render_rows_of(const MemoryTimeline& timeline, int64_t columns, const Marks& marks) {
  const auto live = bytes_by_column(timeline, columns);
  std::string text;
  for (int64_t row = kRows - 1; row >= 0; --row) {
    const auto peak = static_cast<double>(timeline.peak.bytes);
    const bool labelled = row == kRows - 1 || row == kRows / 2 - 1;
    text += fmt::format("  {:>10} {}",
                        labelled ? format_bytes(timeline.peak.bytes * (row + 1) / kRows) : "",
                        marks.side);
    std::string line;
    for (const BytesByKind& bytes : live) {
      line += cell(bytes, peak * (static_cast<double>(row) + 0.5) / kRows, marks);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string render_axis(const MemoryTimeline& timeline, int64_t columns, const Marks& marks) {
  const int64_t boundary = column_of(timeline.forward_end_ns, timeline, columns);
  std::string line;
  for (int64_t i = 0; i < columns; ++i) line += i == boundary ? marks.boundary : marks.axis;
  std::string text = fmt::format("  {:>10} {}{}\n", "0 B", marks.corner, line);
  const double milliseconds = static_cast<double>(timeline.end_ns) / 1e6;
  const std::string time = milliseconds < 10'000 ? fmt::format("{:.1f} ms", milliseconds)
                                                 : fmt::format("{:.1f} s", milliseconds / 1000);
  std::string words(static_cast<size_t>(columns), ' ');
  const auto write = [&](int64_t at, const std::string& word) {
    if (at < 0 || at + static_cast<int64_t>(word.size()) > columns) return;
    words.replace(static_cast<size_t>(at), word.size(), word);
  };
  constexpr std::string_view kForward = "forward";
  write(std::max<int64_t>(boundary - static_cast<int64_t>(kForward.size()) - 1, 0),
        std::string(kForward));
  if (boundary + 1 < columns) write(boundary + 2, "backward");
  const int64_t time_column = columns - static_cast<int64_t>(time.size());
  if (time_column > boundary + 12) write(time_column, time);
  text +=
      fmt::format("{:{}}{}\n", "", kLabelColumns, words.substr(0, words.find_last_not_of(' ') + 1));
  return text;
}

/// "412.5 MiB saved, 128.0 MiB parameters": the kinds that were live, the largest first.
std::string kinds_text(const BytesByKind& bytes) {
  std::vector<size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return bytes[a] > bytes[b]; });
  std::string text;
  for (const size_t kind : order) {
    if (bytes[kind] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", format_bytes(bytes[kind]),
                        memory_kind_name(static_cast<MemoryKind>(kind)));
  }
  return text;
}

}  // namespace

std::string render_timeline(const Report& report, const RenderOptions& options) {
  if (!report.timeline) return "";
  const MemoryTimeline& timeline = *report.timeline;
  const MemoryPeak& peak = timeline.peak;
  const Marks& marks = options.canvas.unicode ? kUnicodeMarks : kAsciiMarks;
  const int64_t columns =
      std::clamp<int64_t>(options.canvas.width - kLabelColumns, 20, kMaxColumns);
  std::string text = heading(
      fmt::format("LIVE IN ONE STEP (forward and backward; {})", timeline.backend), options.style);
  text += fmt::format(
      "  peak {} in {}{}\n  then live: {}\n", format_bytes(peak.bytes), step_phase_name(peak.phase),
      peak.op.empty() ? "" : fmt::format(", while {} ran", peak.op), kinds_text(peak.live_bytes));
  text +=
      std::string(static_cast<size_t>(kLabelColumns + column_of(peak.time_ns, timeline, columns)),
                  ' ') +
      marks.peak + "\n";
  text += render_rows_of(timeline, columns, marks) + render_axis(timeline, columns, marks);
  return text + fmt::format("  {}{} saved  {} parameters  {} gradients, temporaries, other{}\n",
                            options.style.dim, marks.saved, marks.parameters, marks.others,
                            options.style.reset);
}

}  // namespace invact
