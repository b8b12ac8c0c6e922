#include "analyzer/model/source_lines.h"

#include <charconv>
#include <optional>
#include <string_view>

namespace invact {
namespace {

bool in_torch_package(std::string_view file) {
  for (const std::string_view part : {"-packages/torch/", "/torch/nn/", "/torch/_", "<string>"}) {
    if (file.find(part) != std::string_view::npos) return true;
  }
  return false;
}

/// "path/to/file.py(55): forward": one frame of the stack that the tracer writes as a node's source
/// text.
std::optional<SourceLocation> parse_traced_frame(std::string_view line) {
  const size_t close = line.rfind("): ");
  if (close == std::string_view::npos) return std::nullopt;
  const size_t open = line.rfind('(', close);
  if (open == std::string_view::npos || open == 0) return std::nullopt;
  int64_t number = 0;
  const char* const begin = line.data() + open + 1;
  const char* const end = line.data() + close;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return SourceLocation{std::string(line.substr(0, open)), number};
}

std::vector<SourceLocation> traced_frames(const std::string& text) {
  std::vector<SourceLocation> frames;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (auto frame = parse_traced_frame(std::string_view(text).substr(begin, end - begin))) {
      frames.push_back(std::move(*frame));
    } else if (frames.empty()) {
      return {};  // Python source, not a stack.
    }
    begin = end + 1;
  }
  return frames;
}

std::vector<SourceLocation> locations(const torch::jit::SourceRange& range) {
  if (!range.source()) return {};
  auto frames = traced_frames(range.source()->text_str().str());
  if (!frames.empty()) return frames;
  if (const auto position = range.file_line_col()) {
    const auto& [file, line, column] = *position;
    // The compiler's own nodes (the call of a function through a module) have a range of no line.
    if (file.empty() || line == 0) return {};
    return {SourceLocation{file, static_cast<int64_t>(line)}};
  }
  return {};
}

}  // namespace

SourceLocation user_source(const std::vector<torch::jit::StackEntry>& callstack) {
  std::optional<SourceLocation> innermost;
  for (const auto& entry : callstack) {
    const auto generator = entry.range.findSourceRangeThatGenerated();
    for (SourceLocation& location : locations(generator ? *generator : entry.range)) {
      if (!in_torch_package(location.file)) return location;
      if (!innermost) innermost = std::move(location);
    }
  }
  return innermost.value_or(SourceLocation{});
}

CodeRange code_range(const torch::jit::SourceRange& range) {
  CodeRange code;
  if (range.source() && range.source()->filename()) code.file = *range.source()->filename();
  code.begin = static_cast<int64_t>(range.start());
  code.end = static_cast<int64_t>(range.end());
  return code;
}

}  // namespace invact
