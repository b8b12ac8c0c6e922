#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "cli/options/run_options.h"

namespace invact {
namespace {

constexpr int64_t kMinWidth = 40;
constexpr int64_t kBarWidth = 16;

bool is_set(const char* variable) {
  const char* const value = std::getenv(variable);
  return value && *value;
}

bool wants_colour(const std::string& choice) {
  if (choice != "auto") return choice == "always";
  if (is_set("NO_COLOR")) return false;
  if (is_set("CLICOLOR_FORCE") || is_set("FORCE_COLOR")) return true;
  const char* const terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && terminal && std::string_view(terminal) != "dumb";
}

/// Columns of the terminal behind `file`; 0 where it is no terminal or does not know.
int64_t terminal_width(int file) {
  winsize size = {};
  return isatty(file) && ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/// Reads the same variables as setlocale(), without changing the process's locale.
bool is_utf8_locale() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!is_set(variable)) continue;
    std::string value = std::getenv(variable);
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char letter) { return std::tolower(letter); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

Style stdout_style(const GlobalOptions& options) {
  if (!wants_colour(options.color)) return {};
  return {"\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"};
}

Canvas stdout_canvas() {
  Canvas canvas;
  canvas.unicode = is_utf8_locale();
  if (const int64_t width = terminal_width(STDOUT_FILENO); width > 0) {
    canvas.width = width;
  } else if (is_set("COLUMNS")) {
    const int64_t columns = std::atoll(std::getenv("COLUMNS"));
    if (columns > 0) canvas.width = columns;
  }
  canvas.width = std::max(canvas.width, kMinWidth);
  return canvas;
}

}  // namespace

RenderOptions stdout_options(const GlobalOptions& options, int64_t top) {
  return {stdout_style(options), top, options.verbosity > 0, stdout_canvas()};
}

Progress::Progress(const GlobalOptions& options, int64_t step_count)
    : shown_(!options.quiet && isatty(STDERR_FILENO)), step_count_(step_count) {}

void Progress::step(const std::string& what) {
  ++begun_;
  if (!shown_) return;
  const int64_t done =
      kBarWidth * std::min(begun_ - 1, step_count_) / std::max<int64_t>(step_count_, 1);
  std::string line =
      "[" + std::string(done, '#') + std::string(kBarWidth - done, '.') + "] " + what;
  // A line that wraps would not be erased by the next one.
  const int64_t width = std::max(terminal_width(STDERR_FILENO), kMinWidth);
  line.resize(std::min(line.size(), static_cast<size_t>(width - 5)));
  std::fprintf(stderr, "\r\033[K%s ...", line.c_str());
}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void say(const GlobalOptions& options, const std::string& message) {
  if (!options.quiet) std::fprintf(stderr, "invact: %s\n", message.c_str());
}

}  // namespace invact
