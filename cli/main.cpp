#include <fmt/format.h>

#include <cstdio>
#include <new>

#include "analyzer/environment.h"
#include "analyzer/error.h"
#include "cli/analyze_command.h"
#include "cli/exit_code.h"
#include "cli/ops_command.h"
#include "cli/output_file.h"
#include "cli/rewrite_command.h"
#include "cli/verify_command.h"
#include "kernels/register.h"

namespace {

using namespace invact;

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return kExitUsage;
    case ErrorKind::kModel:
      return kExitModel;
    case ErrorKind::kEnvironment:
      return kExitEnvironment;
    case ErrorKind::kInternal:
      break;
  }
  return kExitInternal;
}

std::string version_text() {
  const Environment environment = current_environment();
  return fmt::format(
      "invact {} (LibTorch {}, CPU kernels {}, CUDA kernels {}, CUPTI {})",
      environment.invact_version, environment.libtorch_version, environment.cpu_capability,
      environment.cuda_build ? "built" : "not built",
      environment.cupti_api_version ? std::to_string(*environment.cupti_api_version) : "not built");
}

void add_global_options(CLI::App& app, GlobalOptions& global) {
  app.add_option("--color", global.color, "auto, always or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("-v,--verbose", global.verbosity, "Say more: every site with its reason");
  app.add_flag("-q,--quiet", global.quiet, "No progress and no remarks on stderr");
  app.add_option("--strip-prefix", global.strip_prefix, "Drop DIR from source paths in reports")
      ->type_name("DIR");
  app.set_version_flag("--version", version_text);
}

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
  RewriteOptions rewrite;
  VerifyOptions verify;
  OpsOptions ops;
  add_global_options(app, global);
  const CLI::App* const analyze_command = add_analyze_command(app, analyze);
  const CLI::App* const rewrite_command = add_rewrite_command(app, rewrite);
  const CLI::App* const verify_command = add_verify_command(app, verify);
  add_ops_command(app, ops);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  check_libtorch();
  if (analyze_command->parsed()) return run_analyze(analyze, global);
  if (rewrite_command->parsed()) return run_rewrite(rewrite, global);
  if (verify_command->parsed()) return run_verify(verify, global);
  return run_ops(ops, global);
}

}  // namespace

int main(int argc, char** argv) {
  // No fmt::print below: it throws where stderr takes nothing, and the exit code would be lost.
  install_interrupt_handler();
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "invact: %s\n", error.what());
    return exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    std::fputs("invact: out of memory.\n", stderr);
    return kExitEnvironment;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "invact: internal error: %s\nPlease report it with the command line.\n",
                 error.what());
    return kExitInternal;
  }
}
