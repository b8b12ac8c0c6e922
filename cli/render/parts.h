// Parts of render_report that have a file of their own.
#pragma once

#include <string>

#include "cli/render/render.h"

namespace invact {

/// Modules as a tree with bars: bytes with and without children. What is large is unfolded first,
/// until about two rows per `options.top` are used.
std::string render_module_tree(const Report& report, const RenderOptions& options);

/// Live bytes of the step, a few rows high, and its peak. Empty where the report has no timeline.
std::string render_timeline(const Report& report, const RenderOptions& options);

}  // namespace invact
