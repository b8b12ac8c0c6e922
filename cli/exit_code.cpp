#include "cli/exit_code.h"

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

}  // namespace invact
