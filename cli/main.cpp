#include <functional>
#include <utility>
#include <vector>

#include "analyzer/error.h"
#include "cli/commands/analyze_command.h"
#include "cli/commands/bench_command.h"
#include "cli/commands/diff_command.h"
#include "cli/commands/ops_command.h"
#include "cli/commands/rewrite_command.h"
#include "cli/commands/verify_command.h"
#include "cli/exit_code.h"
#include "cli/leave.h"
#include "cli/output_file.h"
#include "kernels/register.h"

namespace {

using namespace invact;

void check_libtorch() try { kernels::ensure_registered(); } catch (const std::exception& error) {
  throw_environment_error(first_sentence(error.what()));
}

int run(int argc, char** argv) {
  CLI::App app(
      "invact says what training a TorchScript model keeps twice, and rewrites it to keep it once.",
      "invact");
  app.require_subcommand(1);
  app.fallthrough();
  GlobalOptions global;
  AnalyzeOptions analyze;
  DiffOptions diff;
  RewriteOptions rewrite;
  VerifyOptions verify;
  BenchOptions bench;
  OpsOptions ops;
  add_global_options(app, global);
  const std::vector<std::pair<CLI::App*, std::function<int()>>> commands = {
      {add_analyze_command(app, analyze), [&] { return run_analyze(analyze, global); }},
      {add_diff_command(app, diff), [&] { return run_diff(diff, global); }},
      {add_rewrite_command(app, rewrite), [&] { return run_rewrite(rewrite, global); }},
      {add_verify_command(app, verify), [&] { return run_verify(verify, global); }},
      {add_bench_command(app, bench), [&] { return run_bench(bench, global); }},
      {add_ops_command(app, ops), [&] { return run_ops(ops, global); }},
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  check_libtorch();
  for (const auto& [command, run_command] : commands) {
    if (command->parsed()) return run_command();
  }
  throw_internal_error("no command was parsed");
}

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  int code = kExitInternal;
  try {
    code = run(argc, argv);
  } catch (...) {
    code = report_failure();
  }
  return leave(code);
}
