// SARIF.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/ci/formats/findings.h"
#include "cli/ci/formats/formats.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRepositoryBase = "%SRCROOT%";  // the name that GitHub and MSBuild use
constexpr const char* kPackagesBase = "PYTHONPACKAGES";

std::string percent_encoded(const std::string& path) {
  std::string encoded;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

Json artifact_location(const std::string& file) {
  const StablePath path = stable_path(file);
  const std::string uri = percent_encoded(path.path);
  switch (path.base) {
    case StablePath::Base::kNone:
      return {{"uri", "file://" + uri}};
    case StablePath::Base::kRepository:
      return {{"uri", uri}, {"uriBaseId", kRepositoryBase}};
    case StablePath::Base::kPythonPackages:
      break;
  }
  return {{"uri", uri}, {"uriBaseId", kPackagesBase}};
}

/// The user's line; where it is unknown, the model file. Code scanning drops results without file
/// and line, so the model file gets line 1.
Json location(const Finding& finding, const std::string& model_path) {
  const SourceLocation& source = finding.place.source;
  const bool known = source.line > 0;
  Json location;
  location["physicalLocation"] = {
      {"artifactLocation", artifact_location(known ? source.file : model_path)},
      {"region", {{"startLine", known ? source.line : 1}}}};
  Json logical = {{"fullyQualifiedName", module_text(finding.place)}, {"kind", "module"}};
  location["logicalLocations"] = Json::array({std::move(logical)});
  return location;
}

/// FNV-1a: stable over platforms and releases, which std::hash is not.
std::string fingerprint(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

Json rule_json(const Finding& finding) {
  Json rule = {
      {"id", finding.rule_id},
      {"shortDescription", {{"text", finding.rule_text}}},
      {"fullDescription",
       {{"text", finding.rule_text + (finding.advice.empty() ? "" : " " + finding.advice)}}}};
  if (!finding.advice.empty()) rule["help"] = {{"text", finding.advice}};
  rule["defaultConfiguration"] = {{"level", finding.failed_gate ? "error" : "warning"}};
  rule["properties"] = {{"tags", {"memory", "training"}}};
  return rule;
}

Json result_json(const Finding& finding, size_t rule_index, const std::string& model_path) {
  const std::string key = finding_key(finding);
  const std::string message =
      finding.message + "." + (finding.advice.empty() ? "" : " " + finding.advice);
  Json fingerprints;
  // The key under which GitHub looks; without it every upload by the API makes new alerts.
  fingerprints["primaryLocationLineHash"] = fmt::format("{}:{}", fingerprint(key), finding.ordinal);
  fingerprints["invactPlace/v1"] = fmt::format("{}|{}", key, finding.ordinal);
  return {{"ruleId", finding.rule_id},
          {"ruleIndex", rule_index},
          {"level", finding.failed_gate ? "error" : "warning"},
          {"message", {{"text", message}}},
          {"locations", Json::array({location(finding, model_path)})},
          {"partialFingerprints", std::move(fingerprints)},
          {"properties", {{"bytes", finding.bytes}}}};
}

Json base_ids() {
  Json bases;
  bases[kRepositoryBase] = {{"description", {{"text", "The root of the repository."}}}};
  bases[kPackagesBase] = {
      {"description", {{"text", "The folder of installed Python packages (site-packages)."}}}};
  return bases;
}

Json invocation(const CiResult& result, size_t left_out) {
  Json notifications = Json::array();
  if (left_out > 0) {
    notifications.push_back(
        {{"level", "note"},
         {"message",
          {{"text", fmt::format("{} smaller results are left out; `invact analyze --json` has all.",
                                left_out)}}}});
  }
  return {{"executionSuccessful", true},
          {"exitCode", result.passed() ? 0 : 1},
          {"toolExecutionNotifications", std::move(notifications)}};
}

}  // namespace

Json sarif_document(const CiResult& result) {
  const std::vector<Finding> list = findings(result);
  const size_t shown = std::min(list.size(), kMaxSarifResults);
  std::map<std::string, size_t> rule_indices;
  Json rules = Json::array(), results = Json::array();
  for (size_t i = 0; i < shown; ++i) {
    const auto [entry, fresh] = rule_indices.try_emplace(list[i].rule_id, rules.size());
    if (fresh) rules.push_back(rule_json(list[i]));
    results.push_back(result_json(list[i], entry->second, result.report.model_path));
  }
  Json run;
  run["tool"]["driver"] = {
      {"name", "invact"}, {"version", result.report.tool_version}, {"rules", std::move(rules)}};
  // One category per model: a second model's upload must not close the first one's alerts.
  const std::string model = std::filesystem::path(result.report.model_path).filename().string();
  run["automationDetails"] = {{"id", fmt::format("invact/{}/", model)}};
  run["originalUriBaseIds"] = base_ids();
  run["invocations"] = Json::array({invocation(result, list.size() - shown)});
  run["results"] = std::move(results);
  return {{"$schema",
           "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
           "sarif-schema-2.1.0.json"},
          {"version", "2.1.0"},
          {"runs", Json::array({std::move(run)})}};
}

}  // namespace invact
