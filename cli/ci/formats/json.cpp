// The JSON documents that only the command line knows: gates, and a diff.
#include "analyzer/reporting/json.h"
#include "cli/ci/formats/formats.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<int64_t>& bytes) {
  return bytes ? Json(*bytes) : Json(nullptr);
}

Json side_json(const ReportFile& report) {
  return {{"report", report.name},
          {"model", {{"path", report.model_path}, {"sha256", report.model_sha256}}}};
}

Json row_json(const DiffRow& row) {
  return {{"kind", change_kind_name(*row.kind())},
          {"module", row.place.module ? Json(*row.place.module) : Json(nullptr)},
          {"op", row.place.op},
          {"slot", row.slot},
          {"tensor", row.tensor},
          {"source", to_json(row.place.source)},
          {"old_bytes", or_null(row.old_bytes)},
          {"new_bytes", or_null(row.new_bytes)},
          {"change_bytes", row.change()}};
}

}  // namespace

Json gates_json(const std::vector<Gate>& gates) {
  Json array = Json::array();
  for (const Gate& gate : gates) {
    array.push_back({{"name", gate.name},
                     {"limit", gate.limit},
                     {"limit_bytes", gate.limit_bytes},
                     {"actual_bytes", gate.actual_bytes},
                     {"passed", gate.passed},
                     {"sentence", gate.sentence}});
  }
  return array;
}

Json diff_json(const ReportDiff& diff, const std::vector<Gate>& gates) {
  Json document;
  document["old"] = side_json(diff.old_report);
  document["new"] = side_json(diff.new_report);
  document["setup_differences"] = Json::array();
  for (const SetupDifference& difference : diff.setup) {
    document["setup_differences"].push_back(
        {{"what", difference.what}, {"old", difference.old_value}, {"new", difference.new_value}});
  }
  for (const TotalRow& total : total_rows(diff)) {
    document["totals"][total.key] = {{"old", or_null(total.old_bytes)},
                                     {"new", or_null(total.new_bytes)},
                                     {"change", or_null(total.change())}};
  }
  for (const ChangeKind kind : kChangeKinds) {
    const ChangeSum& sum = diff.sum(kind);
    document["changes"][change_kind_name(kind)] = {{"rows", sum.rows}, {"bytes", sum.bytes}};
  }
  document["changes"]["unchanged"] = {{"rows", diff.unchanged_rows},
                                      {"bytes", diff.unchanged_bytes}};
  document["rows"] = Json::array();
  for (const DiffRow& row : diff.rows) document["rows"].push_back(row_json(row));
  document["gates"] = gates_json(gates);
  return document;
}

}  // namespace invact
