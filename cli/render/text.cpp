#include "cli/render/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cli/text/size.h"

namespace invact {

std::string module_name(const OperatorCall& call) {
  if (!call.attributed) return "(unattributed)";
  return call.module_path.empty() ? "(top)" : call.module_path;
}

std::string heading(const std::string& text, const Style& style) {
  return fmt::format("\n{}{}{}\n", style.bold, text, style.reset);
}

std::string tensor_text(const TensorFacts& tensor) {
  return tensor.shape.empty() ? fmt::format("{} scalar", tensor.dtype)
                              : fmt::format("{} {}", tensor.dtype, fmt::join(tensor.shape, "x"));
}

int64_t display_width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

std::string shorten(const std::string& text, int64_t width, const Canvas& canvas) {
  constexpr int64_t kLeast = 12;
  width = std::max(width, kLeast);
  if (display_width(text) <= width) return text;
  std::vector<std::string> characters;
  for (const char byte : text) {
    const bool continues = (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
    if (continues && !characters.empty()) {
      characters.back() += byte;
    } else {
      characters.emplace_back(1, byte);
    }
  }
  const std::string gap = canvas.unicode ? "…" : "..";
  const auto kept = static_cast<std::ptrdiff_t>(width - display_width(gap));
  const auto head = characters.begin() + kept / 2;
  const auto tail = characters.end() - (kept - kept / 2);
  return fmt::format("{}{}{}", fmt::join(characters.begin(), head, ""), gap,
                     fmt::join(tail, characters.end(), ""));
}

std::string bar_text(int64_t part, int64_t whole, int64_t width, const Canvas& canvas) {
  // A block character fills an eighth of its cell, or two, up to eight; ASCII has whole ones.
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double cells = percent(part, whole) / 100 * static_cast<double>(width);
  const auto eighths = static_cast<int64_t>(std::lround(cells * 8));
  std::string text;
  int64_t filled = canvas.unicode ? eighths / 8 : std::lround(cells);
  for (int64_t i = 0; i < filled; ++i) text += canvas.unicode ? "█" : "#";
  if (canvas.unicode && eighths % 8 > 0) {
    text += kEighths[eighths % 8];
    ++filled;
  }
  return text + std::string(static_cast<size_t>(width - filled), ' ');
}

namespace {

/// Text and note of a row, as much as its line has room for: the note gives way first.
std::pair<std::string, std::string> fit(const Row& row, const Canvas& canvas) {
  constexpr int64_t kNumberColumns = 30;
  constexpr int64_t kLeastNote = 18;
  const int64_t room = canvas.width - kNumberColumns;
  const std::string note =
      shorten(row.note, std::max(room - display_width(row.text), kLeastNote), canvas);
  return {shorten(row.text, room - display_width(note), canvas), note};
}

}  // namespace

std::string render_rows(std::vector<Row> rows, int64_t total, const RenderOptions& options) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.bytes > b.bytes; });
  std::string text;
  Row rest;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<int64_t>(i) < options.top) {
      const Row& row = rows[i];
      const auto [shown, note] = fit(row, options.canvas);
      text += fmt::format("  {:>10}  {:>5.1f} %  {:>5}  {}{}{}{}\n", format_bytes(row.bytes),
                          percent(row.bytes, total), row.count, shown, options.style.dim, note,
                          options.style.reset);
    } else {
      rest.bytes += rows[i].bytes;
      rest.count += rows[i].count;
    }
  }
  if (rest.count > 0) {
    text +=
        fmt::format("  {:>10}  {:>5.1f} %  {:>5}  {}({} more rows){}\n", format_bytes(rest.bytes),
                    percent(rest.bytes, total), rest.count, options.style.dim,
                    rows.size() - static_cast<size_t>(options.top), options.style.reset);
  }
  return text;
}

}  // namespace invact
