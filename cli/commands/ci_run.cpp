#include "cli/commands/ci_run.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "analyzer/error.h"
#include "cli/ci/formats/formats.h"
#include "cli/output_file.h"
#include "cli/render/render.h"

namespace invact {
namespace {

/// GitHub's file for a step's summary: a step may have run other commands that wrote to it.
bool is_step_summary(const std::string& path) {
  const char* const file = std::getenv("GITHUB_STEP_SUMMARY");
  return file && path == file;
}

void print_error(const std::string& text) {
  // Not fmt::print: it throws where stderr takes nothing, and the exit code would be lost.
  std::fputs(text.c_str(), stderr);
}

}  // namespace

std::optional<ReportFile> read_baseline(const CiOptions& options, const std::string& json) {
  if (!options.junit.empty() && !options.limits.any()) {
    throw_usage_error(
        "--junit reports gates and none was asked for; give --max-saved, --max-duplicate, "
        "--max-peak or --max-growth.");
  }
  int documents_on_stdout = 0;
  for (const std::string_view file : std::initializer_list<std::string_view>{
           json, options.sarif, options.junit, options.summary}) {
    if (file == "-") ++documents_on_stdout;
  }
  if (documents_on_stdout > 1) {
    throw_usage_error("Only one of --json, --sarif, --junit and --summary can be -, for stdout.");
  }
  if (options.baseline.empty()) return std::nullopt;
  return read_report_file(options.baseline);
}

CiResult check_report(const CiOptions& options, const nlohmann::ordered_json& document,
                      const std::optional<ReportFile>& baseline, const GlobalOptions& global) {
  CiResult result;
  result.report = report_from_json(document, "this run");
  strip_model_prefix(global.strip_prefix, result.report);
  if (baseline) result.diff = diff_reports(*baseline, result.report, options.allow_different);
  result.gates = check_gates(options.limits, result.report, result.diff ? &*result.diff : nullptr);
  return result;
}

void write_ci_outputs(const CiOptions& options, const CiResult& result, int64_t top) {
  if (!options.sarif.empty()) {
    write_text(options.sarif, sarif_document(result).dump(2) + "\n");
  }
  if (!options.junit.empty()) {
    write_text(options.junit,
               junit_xml(result, result.diff ? render_diff(*result.diff, {}) : std::string()));
  }
  if (!options.summary.empty()) {
    const std::string text = markdown_summary(result, top);
    if (is_step_summary(options.summary)) {
      append_text(options.summary, text);
    } else {
      write_text(options.summary, text);
    }
  }
  // GitHub's runner reads both streams for commands; stdout belongs to the report.
  if (options.github) print_error(github_annotations(result));
  say_failed_gates(result.gates);
}

void say_failed_gates(const std::vector<Gate>& gates) {
  for (const Gate& gate : gates) {
    if (!gate.passed) {
      print_error(fmt::format("invact: gate --{} failed: {}.\n", gate.name, gate.sentence));
    }
  }
}

}  // namespace invact
