#include "cli/exit_code.h"

#include <cstdio>
#include <new>

namespace invact {

ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return kExitUsage;
    case ErrorKind::kModel:
      return kExitModel;
    case ErrorKind::kEnvironment:
      return kExitEnvironment;
    case ErrorKind::kInternal:
      break;
  }
  return kExitInternal;
}

ExitCode report_failure() {
  // No fmt::print: it throws where stderr takes nothing, and the exit code would be lost.
  try {
    throw;
  } catch (const Error& error) {
    std::fprintf(stderr, "invact: %s\n", error.what());
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    std::fputs("invact: out of memory.\n", stderr);
    return kExitEnvironment;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "invact: internal error: %s\nPlease report it with the command line.\n",
                 error.what());
    return kExitInternal;
  }
}

}  // namespace invact
