// The commands of invact, one .cpp each. Every add_*_command() adds its command to the program and
// returns it with what runs it; its options are filled when the command line is parsed.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/exit.h"
#include "cli/options/run_options.h"

namespace invact {

struct Command {
  CLI::App* app = nullptr;        ///< Says whether the user gave this command.
  std::function<ExitCode()> run;  ///< Call it once, after parsing. @throws Error.
};

/// `invact analyze`: what does training this model save, where, and how much of it twice? What it
/// observed lives as long as the returned Command.
Command add_analyze_command(CLI::App& app, const GlobalOptions& global);

/// `invact diff`: what changed between two reports of `invact analyze --json`?
Command add_diff_command(CLI::App& app, const GlobalOptions& global);

/// `invact rewrite`: the same model, saving one tensor per boundary; checked before it is written.
Command add_rewrite_command(CLI::App& app, const GlobalOptions& global);

/// `invact verify`: does a rewritten model compute what the original does, and save less?
Command add_verify_command(CLI::App& app, const GlobalOptions& global);

/// `invact bench`: how long does a training step take, and what does it hold at its peak; a model
/// alone, or in turn with its rewrite. No figure is a failure.
Command add_bench_command(CLI::App& app, const GlobalOptions& global);

/// `invact ops`: which operators are replaced, by what, and how exact is the replacement?
Command add_ops_command(CLI::App& app, const GlobalOptions& global);

}  // namespace invact
