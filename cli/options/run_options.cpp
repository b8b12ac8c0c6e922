#include "cli/options/run_options.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "analyzer/error.h"
#include "analyzer/inputs/input_spec.h"
#include "analyzer/observation/environment.h"
#include "analyzer/observation/session.h"

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

void add_run_options(CLI::App& command, RunOptions& options) {
  command
      .add_option(
          "--input", options.inputs,
          fmt::format("An argument of forward, by NAME or by position; repeatable. A traced "
                      "model needs none.\n{}",
                      kInputHelp))
      ->group("Inputs")
      ->type_name("SPEC")
      ->take_all()
      ->allow_extra_args(false);  // or `--input 8x16 model.pt` would take the model for an input
  command.add_option("--device", options.device, "cpu, cuda or cuda:N")
      ->group("Run")
      ->type_name("DEVICE")
      ->capture_default_str();
  command.add_option("--mode", options.mode, "train or eval")
      ->group("Run")
      ->type_name("MODE")
      ->check(CLI::IsMember({"train", "eval"}))
      ->capture_default_str();
  command
      .add_option("--executor", options.executor,
                  "eager: operator by operator; default: TorchScript's own, after warm-up")
      ->group("Run")
      ->type_name("EXECUTOR")
      ->check(CLI::IsMember({"eager", "default"}))
      ->capture_default_str();
  command.add_option("--autocast", options.autocast, "Run forward under autocast: bf16 or f16")
      ->group("Run")
      ->type_name("DTYPE")
      ->check(CLI::IsMember({"bf16", "f16"}));
  command.add_option("--seed", options.seed, "Of the model's random numbers and of the inputs")
      ->group("Run")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--threads", options.threads, "CPU threads; 0: LibTorch's default")
      ->group("Run")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--ops-library", options.ops_libraries,
                  "Shared library with other operators that the model uses; repeatable")
      ->group("Run")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
}

RunSettings start_run(const RunOptions& options) {
  RunSettings settings;
  settings.device = parse_device(options.device);
  settings.train = options.mode == "train";
  if (options.executor == "default") settings.executor = Executor::kDefault;
  if (options.autocast == "bf16") settings.autocast = c10::kBFloat16;
  if (options.autocast == "f16") settings.autocast = c10::kHalf;
  settings.seed = options.seed;
  settings.threads = options.threads;
  for (const std::string& library : options.ops_libraries) {
    // A bare name would be searched in the system's folders; the user means the file.
    const std::string path = library.find('/') == std::string::npos ? "./" + library : library;
    if (!dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      throw_environment_error(
          fmt::format("--ops-library '{}' cannot be loaded: {}.", library, dlerror()));
    }
  }
  prepare_process(settings);
  return settings;
}

std::vector<InputSpec> input_specs(const RunOptions& options) {
  std::vector<InputSpec> specs;
  for (const std::string& text : options.inputs) specs.push_back(parse_input_spec(text));
  return specs;
}

}  // namespace invact
