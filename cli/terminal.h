// What the terminal can show, and what is said beside the report: progress and remarks. stdout
// carries the report only, everything else goes to stderr.
#pragma once

#include <cstdint>
#include <string>

#include "cli/render/render.h"

namespace invact {

struct GlobalOptions;

/// How text on stdout is rendered, with `top` rows per table: in colour unless that is off (no
/// terminal, NO_COLOR, TERM=dumb), in the terminal's own width, else in COLUMNS or 100, with box
/// and block characters where the locale is UTF-8, and with details where --verbose asks for them.
RenderOptions stdout_options(const GlobalOptions& options, int64_t top = 10);

/// A line on stderr with a bar that says how far the work is and what is being done; on a terminal
/// only, and not with --quiet. The destructor erases it.
class Progress {
 public:
  /// `step_count`: calls of step() to come. A bar that was promised too few stays full.
  Progress(const GlobalOptions& options, int64_t step_count);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void step(const std::string& what);

 private:
  bool shown_;
  int64_t step_count_;
  int64_t begun_ = 0;
};

/// "invact: ..." on stderr; not with --quiet.
void say(const GlobalOptions& options, const std::string& message);

}  // namespace invact
