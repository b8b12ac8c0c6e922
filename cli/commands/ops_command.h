// `invact ops`: which operators are replaced, by what, and how exact the replacement is.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/options/run_options.h"

namespace invact {

struct OpsOptions {
  bool json = false;
};

CLI::App* add_ops_command(CLI::App& app, OpsOptions& options);

/// @returns the exit code.
int run_ops(const OpsOptions& options, const GlobalOptions& global);

}  // namespace invact
