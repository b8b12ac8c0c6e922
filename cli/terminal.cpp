#include "cli/terminal.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/run_options.h"

namespace invact {
namespace {

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

}  // namespace

Style stdout_style(const GlobalOptions& options) {
  if (!wants_colour(options.color)) return {};
  return {"\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"};
}

Progress::Progress(const GlobalOptions& options)
    : shown_(!options.quiet && isatty(STDERR_FILENO)) {}

void Progress::step(const std::string& what) {
  if (shown_) std::fprintf(stderr, "\r\033[K%s ...", what.c_str());
}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void say(const GlobalOptions& options, const std::string& message) {
  if (!options.quiet) std::fprintf(stderr, "invact: %s\n", message.c_str());
}

}  // namespace invact
