#include "cli/options/ci_options.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "analyzer/error.h"
#include "cli/ci/formats/github.h"
#include "cli/ci/formats/junit.h"
#include "cli/ci/formats/markdown.h"
#include "cli/ci/formats/sarif.h"
#include "cli/output_file.h"

namespace invact {
namespace {

constexpr const char* kGroup = "CI";

void add_size_option(CLI::App& command, const std::string& flag, const std::string& help,
                     std::optional<Size>& limit) {
  command
      .add_option_function<std::string>(
          flag, [flag, &limit](const std::string& text) { limit = parse_size(flag, text); }, help)
      ->group(kGroup)
      ->type_name("SIZE");
}

void add_file_option(CLI::App& command, const std::string& flag, const std::string& help,
                     std::string& file) {
  command.add_option(flag, file, help)->group(kGroup)->type_name("FILE");
}

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

void add_max_growth_option(CLI::App& command, std::optional<GrowthLimit>& limit) {
  command
      .add_option_function<std::string>(
          "--max-growth",
          [&limit](const std::string& text) { limit = parse_growth_limit("--max-growth", text); },
          "Exit 1 where more than SIZE or PCT (5%) more is saved than in the old report")
      ->group(kGroup)
      ->type_name("SIZE|PCT");
}

void add_allow_different_flag(CLI::App& command, bool& allow) {
  command
      .add_flag("--allow-different", allow,
                "Compare though inputs, device, mode, executor, autocast or LibTorch differ")
      ->group(kGroup);
}

void add_ci_options(CLI::App& command, CiOptions& options) {
  add_file_option(command, "--baseline", "An older report (--json) to compare with",
                  options.baseline);
  add_max_growth_option(command, options.limits.max_growth);
  command.get_option("--max-growth")->needs(command.get_option("--baseline"));
  add_allow_different_flag(command, options.allow_different);
  command.get_option("--allow-different")->needs(command.get_option("--baseline"));
  add_size_option(command, "--max-saved",
                  fmt::format("Exit 1 where more is saved. SIZE: {}", kSizeForms),
                  options.limits.max_saved);
  add_size_option(command, "--max-duplicate", "Exit 1 where more is kept twice",
                  options.limits.max_duplicate);
  add_size_option(command, "--max-peak", "Exit 1 where a step's peak of memory is higher",
                  options.limits.max_peak);
  add_file_option(command, "--sarif", "Write failed gates and duplicates as SARIF 2.1.0",
                  options.sarif);
  add_file_option(command, "--junit", "Write the gates as JUnit XML; needs a gate", options.junit);
  add_file_option(command, "--summary",
                  "Write a Markdown summary; $GITHUB_STEP_SUMMARY is appended to", options.summary);
  command
      .add_flag("--github", options.github,
                "Print GitHub annotations on stderr, at most ten, the largest first")
      ->group(kGroup);
}

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

bool stdout_is_taken(const CiOptions& options, const std::string& json) {
  return json == "-" || options.sarif == "-" || options.junit == "-" || options.summary == "-";
}

bool reads_document(const CiOptions& options) {
  return options.limits.any() || !options.baseline.empty() || !options.sarif.empty() ||
         !options.junit.empty() || !options.summary.empty() || options.github;
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
  if (!options.junit.empty()) write_text(options.junit, junit_xml(result));
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
