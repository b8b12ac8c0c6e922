// What the renderers share: numbers, places and rows as text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analyzer/trace.h"
#include "cli/render/render.h"

namespace invact {

/// "features.1", "(top)", "(unattributed)".
std::string module_name(const OperatorCall& call);

std::string heading(const std::string& text, const Style& style);

/// "float32 4x3x224x224".
std::string tensor_text(const TensorFacts& tensor);

/// Columns that UTF-8 `text` takes, none of it wide or combining (paths and operators are not).
int64_t display_width(const std::string& text);

/// `text` in at most `width` columns (but never less than a few): its middle gives way, since both
/// ends of a module path say more.
std::string shorten(const std::string& text, int64_t width, const Canvas& canvas);

/// A bar of `width` columns, `part` of `whole` of it filled.
std::string bar_text(int64_t part, int64_t whole, int64_t width, const Canvas& canvas);

struct Row {
  int64_t bytes = 0;
  int64_t count = 0;
  std::string text;  ///< Shortened where the line would be too long.
  std::string note;  ///< Less important, written dim behind it.
};

/// Rows by bytes, the first `options.top` of them, then one line for the others.
std::string render_rows(std::vector<Row> rows, int64_t total, const RenderOptions& options);

}  // namespace invact
