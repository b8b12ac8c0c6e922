#include "cli/options/plan_file.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "analyzer/error.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw_usage_error(fmt::format(
      "--plan '{}' is no plan: {}; `invact rewrite MODEL --write-plan FILE` writes one.", path,
      why));
}

bool is_accepted(const Json& row, const std::string& path) {
  const bool is_row = row.is_object() && row.contains("id") && row["id"].is_string() &&
                      row.contains("decision") && row["decision"].is_string();
  if (!is_row) refuse(path, "a row of `plan` lacks `id` or `decision`");
  const auto decision = row["decision"].get<std::string>();
  if (decision != "accepted" && decision != "rejected") {
    refuse(path, fmt::format("the decision of '{}' is '{}', neither accepted nor rejected",
                             row["id"].get<std::string>(), decision));
  }
  return decision == "accepted";
}

}  // namespace

std::map<std::string, bool> read_plan_file(const std::string& path,
                                           const std::string& model_sha256) {
  std::ifstream file(path);
  if (!file) throw_usage_error(fmt::format("--plan '{}': no such file.", path));
  const Json document = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) refuse(path, "it is not JSON");
  if (!document.is_object() || !document.contains("plan") || !document["plan"].is_array()) {
    refuse(path, "`plan` is missing");
  }
  const Json model = document.value("model", Json::object());
  if (!model.is_object() || model.value("sha256", "") != model_sha256) {
    throw_usage_error(fmt::format(
        "--plan '{}' was made for another model than this one (by its SHA-256).", path));
  }
  std::map<std::string, bool> decisions;
  for (const Json& row : document["plan"]) {
    decisions[row.is_object() ? row.value("id", "") : ""] = is_accepted(row, path);
  }
  return decisions;
}

}  // namespace invact
