// `invact analyze`: what does training this model keep, where, and how much of it twice?
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/options/ci_options.h"
#include "cli/options/run_options.h"
#include "cli/pictures/pictures.h"

namespace invact {

struct AnalyzeOptions {
  std::string model;
  RunOptions run;
  CiOptions ci;
  std::string json;
  PictureOptions pictures;
  int64_t top = 10;
};

/// Adds the command; its options are filled when the command line is parsed.
CLI::App* add_analyze_command(CLI::App& app, AnalyzeOptions& options);

/// @returns the exit code.
int run_analyze(const AnalyzeOptions& options, const GlobalOptions& global);

}  // namespace invact
