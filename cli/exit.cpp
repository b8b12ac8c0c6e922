#include "cli/exit.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

namespace invact {
namespace {

bool destructors_have_work() {
#ifdef INVACT_RUN_DESTRUCTORS
  return true;
#else
  return dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_NOLOAD) != nullptr;
#endif
}

}  // namespace

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

int leave(ExitCode code) {
  if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && code == kExitDone) {
    std::fprintf(stderr, "invact: Cannot write to stdout: %s.\n", std::strerror(errno));
    code = kExitEnvironment;
  }
  if (destructors_have_work()) return code;
  std::fflush(nullptr);
  _exit(code);
}

}  // namespace invact
