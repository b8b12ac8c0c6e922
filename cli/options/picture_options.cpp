#include "cli/options/picture_options.h"

namespace invact {
namespace {

/// Refuses "-", which --json accepts: a page among the tables on stdout is of no use.
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

}  // namespace invact
