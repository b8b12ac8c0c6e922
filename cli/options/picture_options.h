// The flags that ask for pictures of a report: --html and --trace.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace invact {

struct PictureOptions {
  std::string html;
  std::string trace;
};

void add_html_option(CLI::App& command, PictureOptions& options);
void add_trace_option(CLI::App& command, PictureOptions& options);

}  // namespace invact
