// What the terminal can show: colour, progress. stdout carries the report only, everything else
// goes to stderr.
#pragma once

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

/// One line on stderr that says what is being done; on a terminal only, and not with --quiet. Gone
/// when destroyed.
class Progress {
 public:
  explicit Progress(const GlobalOptions& options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void step(const std::string& what);

 private:
  bool shown_;
};

/// "invact: ..." on stderr; not with --quiet.
void say(const GlobalOptions& options, const std::string& message);

}  // namespace invact
