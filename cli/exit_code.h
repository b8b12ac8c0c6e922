// The process's exit codes; part of the command line's contract (README, "Exit codes").
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

/// Says on stderr which exception ended the command; called where it was caught. @returns its code.
ExitCode report_failure();

}  // namespace invact
