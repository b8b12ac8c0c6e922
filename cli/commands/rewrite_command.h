// `invact rewrite`: the same model, keeping one tensor per boundary; checked before it is written.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/options/run_options.h"
#include "cli/pictures/pictures.h"

namespace invact {

struct RewriteOptions {
  std::string model;
  std::string output;
  RunOptions run;
  std::vector<std::string> only;
  std::vector<std::string> skip;
  bool exact = false;
  std::vector<std::string> strategies;
  std::string budget;      ///< What may be kept, as it was written; empty: no limit.
  std::string plan;        ///< Decisions to follow: a file that --write-plan or --json made.
  std::string write_plan;  ///< Where to write the plan, and nothing else.
  bool restore = false;
  bool no_verify = false;
  bool force = false;
  std::string json;
  PictureOptions pictures;
};

CLI::App* add_rewrite_command(CLI::App& app, RewriteOptions& options);

/// @returns the exit code.
int run_rewrite(const RewriteOptions& options, const GlobalOptions& global);

}  // namespace invact
