// invact analyze
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/ci/formats/formats.h"
#include "cli/commands/analysis_document.h"
#include "cli/commands/ci_run.h"
#include "cli/commands/commands.h"
#include "cli/options/ci_options.h"
#include "cli/options/picture_options.h"
#include "cli/output_file.h"
#include "cli/pictures/chrome_trace.h"
#include "cli/pictures/html/page.h"
#include "cli/render/render.h"
#include "cli/terminal.h"

namespace invact {
namespace {

struct AnalyzeOptions {
  std::string model;
  RunOptions run;
  CiOptions ci;
  std::string json;
  PictureOptions pictures;
  int64_t top = 10;
};

/// What was asked, and what was found. main() leaves without destroying it, which after a deep
/// model would take as long as a tenth of a training step.
struct AnalyzeRun {
  AnalyzeOptions options;
  Analysis analysis;
  nlohmann::ordered_json document;
  CiResult ci;
};

/// Writes the pictures that were asked for.
void write_pictures(const AnalyzeRun& run, const GlobalOptions& global) {
  const PictureOptions& options = run.options.pictures;
  if (!options.html.empty()) write_text(options.html, html_page(run.document));
  if (options.trace.empty()) return;
  const auto trace = chrome_trace(run.analysis.report);
  write_text(options.trace,
             trace.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  if (!run.analysis.report.timeline) {
    say(global,
        fmt::format("no whole training step was recorded; '{}' has no events.", options.trace));
  }
}

ExitCode run_analyze(AnalyzeRun& run, const GlobalOptions& global) {
  auto& [options, analysis, document, ci] = run;
  const auto baseline = read_baseline(options.ci, options.json);
  {
    Progress progress(global, /*step_count=*/options.run.executor == "eager" ? 3 : 5);
    analysis = run_analysis(options.model, options.run, ObservedPart::kWholeStep, {}, progress);
  }
  strip_source_prefix(global.strip_prefix, analysis);
  // For a deep model the document costs a tenth of a training step, so it is made only where it is
  // read.
  if (!options.json.empty() || !options.pictures.html.empty() || reads_document(options.ci)) {
    document = analyze_document(analysis);
    ci = check_report(options.ci, document, baseline, global);
    document["gates"] = gates_json(ci.gates);
  }
  if (!options.json.empty()) write_text(options.json, document.dump(2) + "\n");
  if (!stdout_is_taken(options.ci, options.json)) {
    const RenderOptions render = stdout_options(global, options.top);
    write_text("-", render_report(analysis.report, analysis.plan, render) +
                        (analysis.device ? render_device(*analysis.device, render) : "") +
                        (ci.diff ? fmt::format("\n{}", render_diff(*ci.diff, render)) : "") +
                        render_gates(ci.gates, render));
  }
  write_pictures(run, global);
  write_ci_outputs(options.ci, ci, options.top);
  return ci.passed() ? kExitDone : kExitGateFailed;
}

}  // namespace

Command add_analyze_command(CLI::App& app, const GlobalOptions& global) {
  const auto run = std::make_shared<AnalyzeRun>();
  AnalyzeOptions& options = run->options;
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
  return {command, [run, &global] { return run_analyze(*run, global); }};
}

}  // namespace invact
