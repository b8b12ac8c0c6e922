#include "cli/leave.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/exit_code.h"

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

int leave(int code) {
  if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && code == kExitDone) {
    std::fprintf(stderr, "invact: Cannot write to stdout: %s.\n", std::strerror(errno));
    code = kExitEnvironment;
  }
  if (destructors_have_work()) return code;
  std::fflush(nullptr);
  _exit(code);
}

}  // namespace invact
