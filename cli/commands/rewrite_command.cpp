// invact rewrite
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "analyzer/error.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/environment.h"
#include "analyzer/reporting/build_report.h"
#include "analyzer/reporting/json.h"
#include "cli/commands/analysis_document.h"
#include "cli/commands/commands.h"
#include "cli/options/picture_options.h"
#include "cli/options/plan_options.h"
#include "cli/output_file.h"
#include "cli/pictures/html/page.h"
#include "cli/render/render.h"
#include "cli/terminal.h"
#include "cli/text/size.h"
#include "rewriter/editing/apply.h"
#include "rewriter/json.h"
#include "rewriter/verification/verify.h"

namespace invact {
namespace {

struct RewriteOptions {
  std::string model;
  std::string output;
  RunOptions run;
  PlanFlags plan;
  bool force = false;
  std::string json;
  PictureOptions pictures;
};

namespace fs = std::filesystem;

std::string output_path(const RewriteOptions& options) {
  if (!options.output.empty()) return options.output;
  fs::path path = options.model;
  return path.replace_extension(options.plan.restore ? ".restored.pt" : ".invact.pt").string();
}

void check_output_path(const std::string& model, const std::string& output, bool force) {
  std::error_code ignored;
  if (fs::equivalent(model, output, ignored)) {
    throw_usage_error(fmt::format("-o '{}' is the model itself; name another file.", output));
  }
  if (fs::exists(output) && !force) {
    throw_usage_error(
        fmt::format("'{}' exists; give --force to replace it, or -o another file.", output));
  }
}

/// What the rewritten archive says of its making (extra/invact.json). It holds no paths, since the
/// file may leave this machine.
std::string provenance(const Analysis& analysis) {
  auto record = document_head(current_environment());
  record["original"] = {{"sha256", analysis.model.record.sha256}};
  record["sites"] = nlohmann::ordered_json::array();
  for (const Site& site : analysis.plan.sites) {
    if (!site.decision.accepted) continue;
    record["sites"].push_back(
        {{"id", site.id}, {"op", site.op}, {"replacement", replacement_of(site.edit)}});
  }
  record["prediction"] = prediction_json(analysis.plan);
  const auto& extra = analysis.model.extra_files;
  if (const auto earlier = extra.find(kProvenanceFile); earlier != extra.end()) {
    record["earlier"] =
        nlohmann::ordered_json::parse(earlier->second, nullptr, /*allow_exceptions=*/false);
  }
  return record.dump(2);
}

void copy_model(const std::string& from, const std::string& to) {
  std::error_code code;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, code);
  if (code) throw_environment_error(fmt::format("Cannot write '{}': {}.", to, code.message()));
}

nlohmann::ordered_json model_json(const Model& model) {
  return {{"path", model.record.path}, {"sha256", model.record.sha256}};
}

nlohmann::ordered_json verification_json(const std::optional<Verification>& verification) {
  return verification ? to_json(*verification) : nlohmann::ordered_json(nullptr);
}

/// Null where nothing was written.
nlohmann::ordered_json output_json(const std::string& path, const std::string& sha256) {
  if (sha256.empty()) return nullptr;
  return {{"path", path}, {"sha256", sha256}};
}

nlohmann::ordered_json rewrite_document(const Analysis& analysis,
                                        const std::optional<Verification>& verification,
                                        const std::string& output, const std::string& sha256) {
  auto document = document_head(current_environment());
  document["model"] = model_json(analysis.model);
  document["plan"] = sites_json(analysis.plan);
  document["prediction"] = prediction_json(analysis.plan);
  document["notes"] = analysis.plan.notes;
  document["verification"] = verification_json(verification);
  document["output"] = output_json(output, sha256);
  return document;
}

Verification verify_written(Analysis& analysis, const std::string& path, bool exact) {
  Model rewritten = load_model(path, analysis.settings.device);
  return verify_rewrite(analysis.model, rewritten, analysis.inputs, analysis.settings,
                        {.saved_bytes_before = analysis.plan.saved_bytes_before,
                         .predicted_bytes = analysis.plan.saved_bytes_after,
                         .exact = exact});
}

/// What the page shows of the rewritten model; it is observed as the original was.
RewrittenPart rewritten_part(const Analysis& analysis, const std::string& path,
                             Progress& progress) {
  Model rewritten = load_model(path, analysis.settings.device);
  RewrittenPart part;
  part.after = to_json(build_report(
      observe_warm_step(rewritten, analysis.inputs, analysis.settings,
                        [&progress](const std::string& what) { progress.step(what); })));
  return part;
}

std::string rewrite_page(const Analysis& analysis, std::optional<RewrittenPart> rewritten,
                         const std::optional<Verification>& verification, const std::string& output,
                         const std::string& sha256) {
  auto report = analyze_document(analysis);
  if (!rewritten) return html_page(std::move(report));
  rewritten->verification = verification_json(verification);
  rewritten->output = output_json(output, sha256);
  return html_page(std::move(report), *rewritten);
}

/// Renames the written file to its target unless verification failed. @returns its digest, or "".
std::string commit_if_passed(OutputFile& file, const std::optional<Verification>& verification) {
  if (verification && !verification->passed) return "";
  std::string sha256 = sha256_of_file(file.temporary_path());
  file.commit();
  return sha256;
}

ExitCode verification_failed(const GlobalOptions& global, const std::string& output) {
  say(global, fmt::format("the written model failed verification; '{}' was not kept.", output));
  return kExitVerificationFailed;
}

/// `rewrite --restore`. Verification takes the restored model for the original and the given one
/// for its rewrite.
ExitCode run_restore(const RewriteOptions& options, const GlobalOptions& global,
                     const std::string& output) {
  std::optional<Verification> verification;
  std::string sha256;
  int64_t operator_count = 0;
  Model rewritten;
  {
    Progress progress(global, /*step_count=*/3);
    const auto specs = input_specs(options.run);
    const RunSettings settings = start_run(options.run);
    progress.step("Loading " + options.model);
    rewritten = load_model(options.model, settings.device);
    progress.step("Restoring");
    const RestoredModel restored = restore_original(rewritten);
    operator_count = restored.operator_count;
    OutputFile file(output);
    if (operator_count == 0) {
      copy_model(options.model, file.temporary_path());
    } else {
      save_module(restored.module, rewritten, "", file.temporary_path());
      if (!options.plan.no_verify) {
        progress.step("Verifying");
        Model original = load_model(file.temporary_path(), settings.device);
        verification =
            verify_rewrite(original, rewritten,
                           make_inputs(rewritten, specs, settings.seed, settings.device), settings);
      }
    }
    sha256 = commit_if_passed(file, verification);
  }
  if (!options.json.empty()) {
    auto document = document_head(current_environment());
    document["model"] = model_json(rewritten);
    document["restored_operators"] = operator_count;
    document["verification"] = verification_json(verification);
    document["output"] = output_json(output, sha256);
    write_text(options.json, document.dump(2) + "\n");
  }
  if (options.json != "-" && verification) {
    write_text("-", render_verification(*verification, stdout_options(global)));
  }
  if (sha256.empty()) return verification_failed(global, output);
  say(global, operator_count == 0
                  ? fmt::format("no operator of invact to undo; '{}' is an equal copy.", output)
                  : fmt::format("undid {} operator nodes; wrote '{}'{}.", operator_count, output,
                                verification ? "" : ", not verified"));
  return kExitDone;
}

bool misses_budget(const Plan& plan) {
  return plan.budget && plan.saved_bytes_after > *plan.budget;
}

ExitCode budget_missed(const RewriteOptions& options, const GlobalOptions& global,
                       const Plan& plan) {
  say(global, fmt::format("--budget {}: at least {} would be kept; nothing was written.",
                          options.plan.budget, format_bytes(plan.saved_bytes_after)));
  return kExitGateFailed;
}

/// `rewrite --write-plan`: writes what would be done, and does nothing of it.
ExitCode run_write_plan(const RewriteOptions& options, const GlobalOptions& global) {
  Analysis analysis;
  {
    Progress progress(global, /*step_count=*/2);
    analysis = run_analysis(options.model, options.run, ObservedPart::kForward,
                            plan_options(options.plan, options.model), progress);
  }
  if (misses_budget(analysis.plan)) return budget_missed(options, global, analysis.plan);
  strip_source_prefix(global.strip_prefix, analysis);
  write_text(options.plan.write_plan, rewrite_document(analysis, {}, "", "").dump(2) + "\n");
  if (options.plan.write_plan == "-") return kExitDone;
  write_text("-", render_sites(analysis.plan, stdout_options(global)));
  say(global, fmt::format("wrote the plan '{}', and no model.", options.plan.write_plan));
  return kExitDone;
}

ExitCode run_rewrite(const RewriteOptions& options, const GlobalOptions& global) {
  if (options.run.executor != "eager") {
    throw_usage_error(
        "--executor default: a rewrite is planned and predicted operator by operator. Rewrite with "
        "the executor 'eager', then compare both files with `invact verify --executor default`.");
  }
  if (!options.plan.write_plan.empty()) return run_write_plan(options, global);
  const std::string output = output_path(options);
  check_output_path(options.model, output, options.force);
  if (options.plan.restore) return run_restore(options, global, output);
  Analysis analysis;
  std::optional<Verification> verification;
  std::optional<RewrittenPart> rewritten;
  std::string sha256;
  {
    const bool wants_page = !options.pictures.html.empty();
    Progress progress(global, /*step_count=*/wants_page ? 6 : 4);
    // verify_rewrite runs backward without hooks; the planner needs forward alone, a page shows the
    // whole step.
    analysis = run_analysis(options.model, options.run,
                            wants_page ? ObservedPart::kWholeStep : ObservedPart::kForward,
                            plan_options(options.plan, options.model), progress);
    if (misses_budget(analysis.plan)) return budget_missed(options, global, analysis.plan);
    OutputFile file(output);
    if (analysis.plan.accepted_count() == 0) {
      copy_model(options.model, file.temporary_path());
    } else {
      progress.step("Rewriting");
      save_module(apply_plan(analysis.model, analysis.plan), analysis.model, provenance(analysis),
                  file.temporary_path());
      if (!options.plan.no_verify) {
        progress.step("Verifying");
        verification = verify_written(analysis, file.temporary_path(), options.plan.exact);
      }
      if (wants_page) rewritten = rewritten_part(analysis, file.temporary_path(), progress);
    }
    sha256 = commit_if_passed(file, verification);
  }
  strip_source_prefix(global.strip_prefix, analysis);
  if (!options.json.empty()) {
    write_text(options.json,
               rewrite_document(analysis, verification, output, sha256).dump(2) + "\n");
  }
  if (!options.pictures.html.empty()) {
    write_text(options.pictures.html,
               rewrite_page(analysis, std::move(rewritten), verification, output, sha256));
  }
  if (options.json != "-") {
    const RenderOptions render = stdout_options(global);
    write_text("-", render_sites(analysis.plan, render) +
                        (verification ? render_verification(*verification, render) : ""));
  }
  if (sha256.empty()) return verification_failed(global, output);
  if (analysis.plan.accepted_count() == 0) {
    say(global, fmt::format("nothing to rewrite; '{}' is an equal copy of the model.", output));
  } else {
    say(global, fmt::format("wrote '{}'{}.", output, verification ? "" : ", not verified"));
  }
  return kExitDone;
}

}  // namespace

Command add_rewrite_command(CLI::App& app, const GlobalOptions& global) {
  const auto state = std::make_shared<RewriteOptions>();
  RewriteOptions& options = *state;
  CLI::App* const command = app.add_subcommand(
      "rewrite",
      "Write the same model keeping one tensor per boundary; verified before it is written");
  command->add_option("MODEL", options.model, "TorchScript file (torch.jit.save)")->required();
  command
      ->add_option("-o,--output", options.output,
                   "File to write [MODEL.invact.pt beside the model; MODEL.restored.pt]")
      ->group("Output")
      ->type_name("OUT");
  command->add_flag("--force", options.force, "Replace OUT if it exists")->group("Output");
  command
      ->add_option("--json", options.json,
                   "Write plan, prediction and verification as JSON; - for stdout")
      ->group("Output")
      ->type_name("FILE");
  add_html_option(*command, options.pictures);
  add_plan_options(*command, options.plan);
  add_undo_options(*command, options.plan);
  add_run_options(*command, options.run);
  command->footer(
      "Examples:\n"
      "  invact rewrite traced.pt\n"
      "  invact rewrite scripted.pt -o smaller.pt --input 8x3x224x224 --skip silu\n"
      "  invact rewrite traced.pt --write-plan plan.json, edit it, invact rewrite traced.pt --plan "
      "plan.json\n"
      "  invact rewrite --restore trained.invact.pt -o trained.pt");
  return {command, [state, &global] { return run_rewrite(*state, global); }};
}

}  // namespace invact
