// How the process ends: its exit codes, which are part of the command line's contract
// (docs/exit-codes.md), the message of a failure, and the one function that ends the process.
#pragma once

#include "analyzer/error.h"

namespace invact {

enum ExitCode : int {
  kExitDone = 0,
  kExitGateFailed = 1,
  kExitUsage = 2,
  kExitModel = 3,
  kExitVerificationFailed = 4,
  kExitEnvironment = 5,
  kExitInternal = 70,
  kExitInterrupted = 130,
};

ExitCode exit_code(ErrorKind kind);

/// Writes on stderr which exception ended the command. Call it in the handler that caught it.
/// @returns its exit code.
ExitCode report_failure();

/// Ends the process with `code` and does not destroy what is alive: after a large model, freeing
/// graphs and LibTorch's own tables piece by piece takes as long as a tenth of a training step, and
/// the system takes the memory back at once. Returns `code` instead where destructors have work to
/// do: in a sanitizer's build, whose leak check reads what is left, and once LibTorch's CUDA half
/// is loaded, whose profilers write their files when the process exits. Close all files before;
/// stdout and stderr are flushed here. A code of success becomes kExitEnvironment where output
/// cannot be written. Only main() calls it.
int leave(ExitCode code);

}  // namespace invact
