#include "cli/ci/report_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analyzer/error.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kReadableMajor = 1;

/// A value of the document that knows where it stands, so that a message can name it.
class Field {
 public:
  Field(const Json& value, std::string file, std::string place)
      : value_(&value), file_(std::move(file)), place_(std::move(place)) {}

  Field operator[](const std::string& key) const {
    if (!value_->is_object() || !value_->contains(key)) {
      refuse(fmt::format("`{}` is missing", below(key)));
    }
    return {value_->at(key), file_, below(key)};
  }
  bool has(const std::string& key) const {
    return value_->is_object() && value_->contains(key) && !value_->at(key).is_null();
  }
  std::vector<Field> items() const {
    if (!value_->is_array()) refuse(fmt::format("`{}` is no array", place_));
    std::vector<Field> fields;
    for (size_t i = 0; i < value_->size(); ++i) {
      fields.emplace_back(value_->at(i), file_, fmt::format("{}[{}]", place_, i));
    }
    return fields;
  }
  std::string text() const {
    if (!value_->is_string()) refuse(fmt::format("`{}` is no text", place_));
    return value_->get<std::string>();
  }
  /// A count or a number of bytes.
  int64_t count() const {
    if (!value_->is_number_integer() || value_->get<int64_t>() < 0) {
      refuse(fmt::format("`{}` is no number of bytes", place_));
    }
    return value_->get<int64_t>();
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw_usage_error(fmt::format(
        "'{}' is no report of invact analyze: {}; `invact analyze MODEL --json FILE` writes one.",
        file_, why));
  }

 private:
  std::string below(const std::string& key) const {
    return place_.empty() ? key : place_ + "." + key;
  }

  const Json* value_;
  std::string file_;
  std::string place_;
};

std::string optional_text(const Field& field, const std::string& key) {
  return field.has(key) ? field[key].text() : "";
}

void check_version(const Field& document, const std::string& file) {
  const std::string version = document["schema_version"].text();
  const size_t digits = version.find_first_not_of("0123456789");
  // Six digits fit an int, and no format has ever had more major versions.
  if (digits == 0 || digits == std::string::npos || digits > 6 || version[digits] != '.') {
    document.refuse(fmt::format("its schema_version is '{}'", version));
  }
  if (std::stoi(version) != kReadableMajor) {
    throw_usage_error(
        fmt::format("'{}' has schema_version {}, this invact reads {}.x: read it with the release "
                    "that wrote it, or make it again.",
                    file, version, kReadableMajor));
  }
}

std::string tensor_text(const Field& field) {
  std::vector<int64_t> shape;
  for (const Field& extent : field["shape"].items()) shape.push_back(extent.count());
  const std::string dtype = field["dtype"].text();
  return shape.empty() ? dtype + " scalar" : fmt::format("{} {}", dtype, fmt::join(shape, "x"));
}

Place read_place(const Field& field) {
  Place place;
  if (field.has("module")) place.module = field["module"].text();
  place.op = field["op"].text();
  if (field.has("source")) {
    place.source = {field["source"]["file"].text(), field["source"]["line"].count()};
  }
  return place;
}

RunSetup read_setup(const Field& document) {
  RunSetup setup;
  for (const Field& input : document["inputs"].items()) {
    std::string text = fmt::format("{}: {}", input["name"].text(), tensor_text(input));
    if (input.has("fill")) text += ", " + input["fill"].text();
    setup.inputs.push_back(std::move(text));
  }
  const Field run = document["run"];
  const std::string device = run["device"].text();
  setup.device = device.substr(0, device.find(':'));
  setup.mode = run["mode"].text();
  setup.executor = run["executor"].text();
  setup.autocast = run.has("autocast") ? run["autocast"].text() : "off";
  setup.libtorch = optional_text(document["environment"], "libtorch");
  return setup;
}

ReportTotals read_totals(const Field& document) {
  const Field field = document["totals"];
  ReportTotals totals;
  totals.saved_bytes = field["saved_bytes"].count();
  totals.duplicate_bytes = field["duplicate_bytes"].count();
  totals.reclaimable_bytes = field["reclaimable_bytes"].count();
  totals.floor_bytes = field["floor_bytes"].count();
  if (document.has("timeline")) {
    totals.peak_bytes = document["timeline"]["peak"]["bytes"].count();
  }
  return totals;
}

/// A file that was cut or edited would give rows that do not add up to the change of the total.
void check_sums(const Field& document, const ReportFile& report) {
  int64_t rest = report.totals.saved_bytes;  // counted down: a sum of any numbers may overflow
  for (const SavedStorage& storage : report.storages) {
    if (storage.bytes > rest) document.refuse("its storages sum to more than totals.saved_bytes");
    rest -= storage.bytes;
  }
  if (rest > 0) {
    document.refuse(fmt::format("its storages sum to {} bytes less than totals.saved_bytes", rest));
  }
}

}  // namespace

std::string module_text(const Place& place) {
  if (!place.module) return "(unattributed)";
  return place.module->empty() ? "(top)" : *place.module;
}

ReportFile report_from_json(const Json& json, const std::string& name) {
  const Field document(json, name, "");
  check_version(document, name);
  ReportFile report;
  report.name = name;
  report.tool_version = optional_text(document["tool"], "version");
  report.model_path = document["model"]["path"].text();
  report.model_sha256 = document["model"]["sha256"].text();
  report.setup = read_setup(document);
  report.totals = read_totals(document);
  for (const Field& row : document["storages"].items()) {
    report.storages.push_back(
        {row["id"].count(), row["bytes"].count(), tensor_text(row), read_place(row)});
  }
  if (document.has("duplicates")) {
    for (const Field& row : document["duplicates"].items()) {
      report.duplicates.push_back({row["kind"].text(), row["bytes"].count(), read_place(row),
                                   optional_text(row, "advice")});
    }
  }
  check_sums(document, report);
  return report;
}

ReportFile read_report_file(const std::string& path) {
  // A folder can be opened, and reads as an empty file.
  if (std::filesystem::is_directory(path)) {
    throw_usage_error(fmt::format("'{}' is a folder; name a report in it.", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw_usage_error(fmt::format("Cannot read the report '{}': {}.", path, std::strerror(errno)));
  }
  Json document;
  try {
    document = Json::parse(file);
  } catch (const Json::parse_error& error) {
    throw_usage_error(
        fmt::format("'{}' is not JSON (it breaks at byte {}); `invact analyze MODEL --json FILE` "
                    "writes a report.",
                    path, error.byte));
  }
  return report_from_json(document, path);
}

void strip_model_prefix(const std::string& prefix, ReportFile& report) {
  SourceLocation model{report.model_path, 1};
  strip_prefix(prefix, model);
  report.model_path = model.file;
}

void strip_source_prefix(const std::string& prefix, ReportFile& report) {
  for (SavedStorage& row : report.storages) strip_prefix(prefix, row.place.source);
  for (SavedTwice& row : report.duplicates) strip_prefix(prefix, row.place.source);
  strip_model_prefix(prefix, report);
}

}  // namespace invact
