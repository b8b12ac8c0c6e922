#include "cli/pictures/pictures.h"

#include <fmt/format.h>

#include "cli/output_file.h"
#include "cli/pictures/chrome_trace.h"

namespace invact {
namespace {

/// Unlike --json: a page among the tables on stdout would serve nobody.
std::string refuse_stdout(const std::string& path) {
  return path == "-" ? "name a file; this is not written to stdout" : "";
}

}  // namespace

void add_html_option(CLI::App& command, PictureOptions& options) {
  command
      .add_option("--html", options.html,
                  "Write the report as one HTML page: module icicle, timeline, tables")
      ->group("Output")
      ->type_name("FILE")
      ->check(refuse_stdout);
}

void add_trace_option(CLI::App& command, PictureOptions& options) {
  command
      .add_option("--trace", options.trace,
                  "Write the memory timeline as a Chrome trace, for ui.perfetto.dev")
      ->group("Output")
      ->type_name("FILE")
      ->check(refuse_stdout);
}

void write_pictures(const PictureOptions& options, const Observation& observation,
                    const nlohmann::ordered_json& document, const GlobalOptions& global) {
  if (!options.html.empty()) write_text(options.html, html_page(document));
  if (options.trace.empty()) return;
  const auto trace = chrome_trace(observation.report);
  write_text(options.trace,
             trace.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  if (!observation.report.timeline) {
    say(global,
        fmt::format("no whole training step was recorded; '{}' has no events.", options.trace));
  }
}

}  // namespace invact
