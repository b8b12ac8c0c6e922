// The program: its commands, the one handler of errors, and the one place that ends the process.
#include <vector>

#include "analyzer/error.h"
#include "cli/commands/commands.h"
#include "cli/exit.h"
#include "cli/output_file.h"
#include "kernels/register.h"

namespace {

using namespace invact;

struct Program {
  CLI::App app{
      "invact says what training a TorchScript model keeps twice, and rewrites it to keep it once.",
      "invact"};
  GlobalOptions global;
  std::vector<Command> commands;
};

void check_libtorch() try { kernels::ensure_registered(); } catch (const std::exception& error) {
  throw_environment_error(first_sentence(error.what()));
}

ExitCode run(Program& program, int argc, char** argv) {
  auto& [app, global, commands] = program;
  app.require_subcommand(1);
  app.fallthrough();
  add_global_options(app, global);
  commands = {add_analyze_command(app, global), add_diff_command(app, global),
              add_rewrite_command(app, global), add_verify_command(app, global),
              add_bench_command(app, global),   add_ops_command(app, global)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  check_libtorch();
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  throw_internal_error("no command was parsed");
}

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  Program program;  // What a command observed lives in it, and leave() need not destroy that.
  ExitCode code = kExitInternal;
  try {
    code = run(program, argc, argv);
  } catch (...) {
    code = report_failure();
  }
  return leave(code);
}
