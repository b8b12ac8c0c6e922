#include "cli/options/ci_options.h"

#include <fmt/format.h>

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

bool stdout_is_taken(const CiOptions& options, const std::string& json) {
  return json == "-" || options.sarif == "-" || options.junit == "-" || options.summary == "-";
}

bool reads_document(const CiOptions& options) {
  return options.limits.any() || !options.baseline.empty() || !options.sarif.empty() ||
         !options.junit.empty() || !options.summary.empty() || options.github;
}

}  // namespace invact
