// invact verify
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/environment.h"
#include "analyzer/observation/session.h"
#include "analyzer/reporting/json.h"
#include "cli/commands/commands.h"
#include "cli/output_file.h"
#include "cli/render/render.h"
#include "cli/terminal.h"
#include "rewriter/json.h"
#include "rewriter/verification/verify.h"

namespace invact {
namespace {

struct VerifyOptions {
  std::string model;
  std::string rewritten;
  RunOptions run;
  std::vector<std::string> cases;  ///< Each a set of inputs: SPECs between spaces.
  int64_t seeds = 1;
  std::string json;
};

/// One set of input specs per run: those of --input alone, or with each --case's added.
std::vector<std::vector<InputSpec>> input_cases(const VerifyOptions& options) {
  const auto common = input_specs(options.run);
  if (options.cases.empty()) return {common};
  std::vector<std::vector<InputSpec>> cases;
  for (const std::string& text : options.cases) {
    auto& specs = cases.emplace_back(common);
    std::istringstream words(text);
    for (std::string word; words >> word;) specs.push_back(parse_input_spec(word));
  }
  return cases;
}

std::vector<Verification> run_all(const VerifyOptions& options, Progress& progress) {
  const auto cases = input_cases(options);
  RunSettings settings = start_run(options.run);
  progress.step("Loading");
  Model original = load_model(options.model, settings.device);
  refuse_frozen(original);
  Model rewritten = load_model(options.rewritten, settings.device);
  refuse_frozen(rewritten);
  std::vector<Verification> runs;
  const size_t count = cases.size() * static_cast<size_t>(options.seeds);
  for (const auto& specs : cases) {
    for (int64_t i = 0; i < options.seeds; ++i) {
      settings.seed = options.run.seed + static_cast<uint64_t>(i);
      progress.step(fmt::format("Verifying, run {} of {}", runs.size() + 1, count));
      const ModelInputs inputs = make_inputs(original, specs, settings.seed, settings.device);
      warm_up(original, inputs, settings);
      warm_up(rewritten, inputs, settings);
      runs.push_back(verify_rewrite(original, rewritten, inputs, settings));
    }
  }
  return runs;
}

ExitCode run_verify(const VerifyOptions& options, const GlobalOptions& global) {
  std::vector<Verification> runs;
  {
    const auto run_count =
        static_cast<int64_t>(std::max<size_t>(options.cases.size(), 1)) * options.seeds;
    Progress progress(global, /*step_count=*/1 + run_count);
    runs = run_all(options, progress);
  }
  const auto worst =
      std::max_element(runs.begin(), runs.end(),
                       [](const Verification& a, const Verification& b) { return is_worse(b, a); });
  if (!options.json.empty()) {
    auto document = document_head(current_environment());
    document.update(to_json(*worst));
    document["runs"] = nlohmann::ordered_json::array();
    for (const Verification& run : runs) document["runs"].push_back(summary_json(run));
    write_text(options.json, document.dump(2) + "\n");
  }
  if (options.json != "-") {
    const RenderOptions render = stdout_options(global);
    write_text("-", render_runs(runs, render) + render_verification(*worst, render));
  }
  return worst->passed ? kExitDone : kExitVerificationFailed;
}

}  // namespace

Command add_verify_command(CLI::App& app, const GlobalOptions& global) {
  const auto state = std::make_shared<VerifyOptions>();
  VerifyOptions& options = *state;
  CLI::App* const command = app.add_subcommand(
      "verify", "Compare outputs, every gradient and the saved bytes of a model and its rewrite");
  command->add_option("MODEL", options.model, "The original TorchScript file")->required();
  command->add_option("REWRITTEN", options.rewritten, "The rewritten one")->required();
  command->add_option("--json", options.json, "Write the result as JSON; - for stdout")
      ->group("Output")
      ->type_name("FILE");
  add_run_options(*command, options.run);
  command
      ->add_option("--case", options.cases,
                   "A set of inputs: SPECs between spaces, added to those of --input; repeatable, "
                   "each is run")
      ->group("Inputs")
      ->type_name("'SPEC ...'")
      ->allow_extra_args(false);
  command
      ->add_option("--seeds", options.seeds, "Run each set of inputs with N seeds, from --seed on")
      ->group("Run")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  invact verify model.pt model.invact.pt\n"
      "  invact verify scripted.pt smaller.pt --input 8x3x224x224 --seed 7 --json -\n"
      "  invact verify scripted.pt smaller.pt --case x=1x3x224x224 --case x=8x3x96x96 --seeds 3");
  return {command, [state, &global] { return run_verify(*state, global); }};
}

}  // namespace invact
