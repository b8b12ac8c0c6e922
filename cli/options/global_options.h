// Flags of the whole program, given before or after the command.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace invact {

struct GlobalOptions {
  std::string color = "auto";
  int verbosity = 0;
  bool quiet = false;
  std::string strip_prefix;
};

/// --version among them.
void add_global_options(CLI::App& app, GlobalOptions& options);

}  // namespace invact
