// The flags of the whole program, given before or after the command, and those that every command
// which runs a model shares: inputs, device, mode, seed, threads, operator libraries.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace invact {

struct RunSettings;
struct InputSpec;

struct GlobalOptions {
  std::string color = "auto";
  int verbosity = 0;
  bool quiet = false;
  std::string strip_prefix;
};

/// Adds the flags of GlobalOptions, and --version.
void add_global_options(CLI::App& app, GlobalOptions& options);

struct RunOptions {
  std::vector<std::string> inputs;
  std::string device = "cpu";
  std::string mode = "train";
  std::string executor = "eager";
  std::string autocast;
  uint64_t seed = 0;
  int64_t threads = 0;
  std::vector<std::string> ops_libraries;
  bool no_cupti = false;  ///< A flag of analyze alone.
};

void add_run_options(CLI::App& command, RunOptions& options);

/// Checks and applies what holds for the whole process (device, threads, executor, operator
/// libraries).
/// @throws Error(kUsage) or Error(kEnvironment).
RunSettings start_run(const RunOptions& options);

/// Parses every --input. @throws Error(kUsage).
std::vector<InputSpec> input_specs(const RunOptions& options);

}  // namespace invact
