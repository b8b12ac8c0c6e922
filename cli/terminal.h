// What the terminal can show: colour, progress. stdout carries the report only, everything else
// goes to stderr.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace invact {

struct GlobalOptions;

/// Marks of emphasis for text on stdout; empty strings where colour is off (no terminal, NO_COLOR,
/// TERM=dumb).
struct Style {
  std::string_view bold;
  std::string_view dim;
  std::string_view good;
  std::string_view bad;
  std::string_view reset;
};
Style stdout_style(const GlobalOptions& options);

/// What text on stdout may use: a terminal's own width, else COLUMNS or 100; box and block
/// characters where the locale is UTF-8.
struct Canvas {
  int64_t width = 100;
  bool unicode = true;
};
Canvas stdout_canvas();

/// A line on stderr with a bar that says how far the work is and what is being done; on a terminal
/// only, and not with --quiet. Gone when destroyed.
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
