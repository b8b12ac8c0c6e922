#include "cli/options/global_options.h"

#include <fmt/format.h>

#include "analyzer/observation/environment.h"

namespace invact {
namespace {

std::string version_text() {
  const Environment environment = current_environment();
  return fmt::format(
      "invact {} (LibTorch {}, CPU kernels {}, CUDA kernels {}, CUPTI {})",
      environment.invact_version, environment.libtorch_version, environment.cpu_capability,
      environment.cuda_build ? "built" : "not built",
      environment.cupti_api_version ? std::to_string(*environment.cupti_api_version) : "not built");
}

}  // namespace

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_option("--color", options.color, "auto, always or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("-v,--verbose", options.verbosity, "Say more: every site with its reason");
  app.add_flag("-q,--quiet", options.quiet, "No progress and no remarks on stderr");
  app.add_option("--strip-prefix", options.strip_prefix, "Drop DIR from source paths in reports")
      ->type_name("DIR");
  app.set_version_flag("--version", version_text);
}

}  // namespace invact
