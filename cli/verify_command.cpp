#include "cli/verify_command.h"

#include "analyzer/inputs.h"
#include "analyzer/json.h"
#include "analyzer/model.h"
#include "analyzer/session.h"
#include "cli/exit_code.h"
#include "cli/output_file.h"
#include "cli/render.h"
#include "rewriter/json.h"
#include "rewriter/verify.h"

namespace invact {

CLI::App* add_verify_command(CLI::App& app, VerifyOptions& options) {
  CLI::App* const command = app.add_subcommand(
      "verify", "Compare outputs, every gradient and the saved bytes of a model and its rewrite");
  command->add_option("MODEL", options.model, "The original TorchScript file")->required();
  command->add_option("REWRITTEN", options.rewritten, "The rewritten one")->required();
  command->add_option("--json", options.json, "Write the result as JSON; - for stdout")
      ->group("Output")
      ->type_name("FILE");
  add_run_options(*command, options.run);
  command->footer(
      "Examples:\n"
      "  invact verify model.pt model.invact.pt\n"
      "  invact verify scripted.pt smaller.pt --input 8x3x224x224 --seed 7 --json -");
  return command;
}

int run_verify(const VerifyOptions& options, const GlobalOptions& global) {
  Verification verification;
  {
    Progress progress(global);
    const auto specs = input_specs(options.run);
    const RunSettings settings = start_run(options.run);
    progress.step("Loading");
    Model original = load_model(options.model, settings.device);
    refuse_frozen(original);
    Model rewritten = load_model(options.rewritten, settings.device);
    refuse_frozen(rewritten);
    const ModelInputs inputs = make_inputs(original, specs, options.run.seed, settings.device);
    progress.step("Verifying");
    verification = verify_rewrite(original, rewritten, inputs, settings, {}, {});
  }
  if (!options.json.empty()) {
    auto document = document_head(current_environment());
    document.update(to_json(verification));
    write_text(options.json, document.dump(2) + "\n");
  }
  if (options.json != "-") {
    write_text("-", render_verification(verification, {stdout_style(global), 10, false}));
  }
  return verification.passed ? kExitDone : kExitVerificationFailed;
}

}  // namespace invact
