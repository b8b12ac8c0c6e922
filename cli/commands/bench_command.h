// `invact bench`: how long does a training step take, and what does it hold at its peak; a model
// alone, or in turn with its rewritten form.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "analyzer/bench_result.h"
#include "cli/options/run_options.h"

namespace invact {

struct BenchOptions {
  std::string model;
  std::string rewritten;  ///< Empty: the model alone.
  RunOptions run;
  int64_t pairs = kLeastPairs;
  int64_t warmup = 2;
  std::string json;
};

CLI::App* add_bench_command(CLI::App& app, BenchOptions& options);

/// @returns the exit code: no figure is a failure.
int run_bench(const BenchOptions& options, const GlobalOptions& global);

}  // namespace invact
