#include "cli/commands/analyze_command.h"

#include <fmt/format.h>

#include "cli/ci/formats/diff_json.h"
#include "cli/exit_code.h"
#include "cli/leave.h"
#include "cli/observation.h"
#include "cli/output_file.h"
#include "cli/render/device.h"
#include "cli/render/diff.h"
#include "cli/render/render.h"

namespace invact {

CLI::App* add_analyze_command(CLI::App& app, AnalyzeOptions& options) {
  CLI::App* const command = app.add_subcommand(
      "analyze", "Say what training this model keeps, where, and how much of it twice");
  command->add_option("MODEL", options.model, "TorchScript file (torch.jit.save)")->required();
  command
      ->add_option("--json", options.json,
                   "Write the report as JSON; - for stdout (instead of the table)")
      ->group("Output")
      ->type_name("FILE");
  add_html_option(*command, options.pictures);
  add_trace_option(*command, options.pictures);
  command->add_option("--top", options.top, "Rows per table")
      ->group("Output")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_run_options(*command, options.run);
  add_ci_options(*command, options.ci);
  command
      ->add_flag("--no-cupti", options.run.no_cupti,
                 "On a GPU: leave out what CUPTI records (kernel times, memory outside PyTorch)")
      ->group("Run");
  command->footer(
      "Examples:\n"
      "  invact analyze traced.pt\n"
      "  invact analyze scripted.pt --input tokens=8x128:i64:0..30522 --json report.json\n"
      "  invact analyze traced.pt --baseline report.json --max-growth 5% --github");
  return command;
}

int run_analyze(const AnalyzeOptions& options, const GlobalOptions& global) {
  const auto baseline = read_baseline(options.ci, options.json);
  Observation observation;
  {
    Progress progress(global, /*step_count=*/options.run.executor == "eager" ? 3 : 5);
    observation = observe_model(options.model, options.run, {}, /*check_backward=*/true, progress);
  }
  strip_source_prefix(global.strip_prefix, observation);
  // Of a deep model it costs a tenth of a training step: made for those who read it.
  nlohmann::ordered_json document;
  CiResult ci;
  if (!options.json.empty() || !options.pictures.html.empty() || reads_document(options.ci)) {
    document = analyze_document(observation);
    ci = check_report(options.ci, document, baseline, global);
    document["gates"] = gates_json(ci.gates);
  }
  if (!options.json.empty()) write_text(options.json, document.dump(2) + "\n");
  if (!stdout_is_taken(options.ci, options.json)) {
    const RenderOptions render{stdout_style(global), options.top, global.verbosity > 0,
                               stdout_canvas()};
    write_text("-", render_report(observation.report, observation.plan, render) +
                        (observation.device ? render_device(*observation.device, render) : "") +
                        (ci.diff ? fmt::format("\n{}", render_diff(*ci.diff, render)) : "") +
                        render_gates(ci.gates, render));
  }
  write_pictures(options.pictures, observation, document, global);
  write_ci_outputs(options.ci, ci, options.top);
  // Here, while the model and all that was observed are alive.
  return leave(ci.passed() ? kExitDone : kExitGateFailed);
}

}  // namespace invact
