// `invact verify`: does a rewritten model compute what the original does, and keep less?
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/options/run_options.h"

namespace invact {

struct VerifyOptions {
  std::string model;
  std::string rewritten;
  RunOptions run;
  std::vector<std::string> cases;  ///< Each a set of inputs: SPECs between spaces.
  int64_t seeds = 1;
  std::string json;
};

CLI::App* add_verify_command(CLI::App& app, VerifyOptions& options);

/// @returns the exit code.
int run_verify(const VerifyOptions& options, const GlobalOptions& global);

}  // namespace invact
