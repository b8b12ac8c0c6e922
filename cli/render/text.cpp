#include "cli/render/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

namespace invact {

std::string format_bytes(int64_t bytes) {
  if (std::abs(bytes) < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    value /= 1024;
    if (std::abs(value) < 1023.95) return fmt::format("{:.1f} {}", value, unit);
  }
  return fmt::format("{:.1f} TiB", value / 1024);
}

std::string format_change(int64_t bytes) {
  return fmt::format("{}{}", bytes > 0 ? "+" : "", format_bytes(bytes));
}

std::string short_source(const SourceLocation& source) {
  if (source.line == 0) return "";
  std::string file = source.file;
  for (const std::string_view folder : {"site-packages/", "dist-packages/"}) {
    if (const size_t found = file.rfind(folder); found != std::string::npos) {
      file = file.substr(found + folder.size());
    }
  }
  return fmt::format("{}:{}", file, source.line);
}

std::string module_name(const OperatorCall& call) {
  if (!call.attributed) return "(unattributed)";
  return call.module_path.empty() ? "(top)" : call.module_path;
}

double percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string heading(const std::string& text, const Style& style) {
  return fmt::format("\n{}{}{}\n", style.bold, text, style.reset);
}

std::string tensor_text(const TensorFacts& tensor) {
  return tensor.shape.empty() ? fmt::format("{} scalar", tensor.dtype)
                              : fmt::format("{} {}", tensor.dtype, fmt::join(tensor.shape, "x"));
}

std::string render_rows(std::vector<Row> rows, int64_t total, const RenderOptions& options) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.bytes > b.bytes; });
  std::string text;
  Row rest;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<int64_t>(i) < options.top) {
      text += fmt::format("  {:>10}  {:>5.1f} %  {:>5}  {}\n", format_bytes(rows[i].bytes),
                          percent(rows[i].bytes, total), rows[i].count, rows[i].text);
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
