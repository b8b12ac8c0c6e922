// The flags --html and --trace, and the files that they ask for.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/observation.h"
#include "cli/pictures/html/page.h"

namespace invact {

struct PictureOptions {
  std::string html;
  std::string trace;
};

void add_html_option(CLI::App& command, PictureOptions& options);
void add_trace_option(CLI::App& command, PictureOptions& options);

/// What `analyze` was asked for; nothing where no flag was given. `document`: of the observation.
void write_pictures(const PictureOptions& options, const Observation& observation,
                    const nlohmann::ordered_json& document, const GlobalOptions& global);

}  // namespace invact
