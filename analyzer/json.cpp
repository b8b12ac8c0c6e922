#include "analyzer/json.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

Json tensor_json(const TensorFacts& tensor) {
  return {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}};
}

Json module_or_null(const OperatorCall& call) {
  return call.attributed ? Json(call.module_path) : Json(nullptr);
}

Json storages_json(const Report& report) {
  Json array = Json::array();
  for (const StorageRow& row : report.storages) {
    const OperatorCall& first = report.call(row.first_call);
    Json savers = Json::array();
    for (const CallId id : row.savers) {
      const OperatorCall& saver = report.call(id);
      savers.push_back(
          {{"module", module_or_null(saver)}, {"op", saver.op}, {"source", to_json(saver.source)}});
    }
    array.push_back({{"id", row.id.value},
                     {"bytes", row.bytes},
                     {"dtype", row.tensor.dtype},
                     {"shape", row.tensor.shape},
                     {"module", module_or_null(first)},
                     {"op", first.op},
                     {"source", to_json(first.source)},
                     {"in_floor", row.in_floor},
                     {"savers", std::move(savers)}});
  }
  return array;
}

Json duplicates_json(const Report& report) {
  Json array = Json::array();
  for (const Duplicate& duplicate : report.duplicates) {
    const OperatorCall& call = report.call(duplicate.call);
    array.push_back({{"kind", duplicate_kind_name(duplicate.kind)},
                     {"storage", duplicate.storage.value},
                     {"kept_storage", duplicate.kept.value},
                     {"bytes", duplicate.bytes},
                     {"module", module_or_null(call)},
                     {"op", call.op},
                     {"source", to_json(call.source)}});
  }
  return array;
}

}  // namespace

Json to_json(const std::vector<InputRecord>& inputs) {
  Json array = Json::array();
  for (const InputRecord& input : inputs) {
    Json entry = {{"name", input.name}};
    entry.update(tensor_json(input.tensor));
    entry["fill"] = input.fill;
    array.push_back(std::move(entry));
  }
  return array;
}

Json to_json(const SourceLocation& source) {
  if (source.line == 0) return nullptr;
  return {{"file", source.file}, {"line", source.line}};
}

Json document_head(const Environment& environment) {
  Json head;
  head["schema_version"] = kSchemaVersion;
  head["tool"] = {{"name", "invact"}, {"version", environment.invact_version}};
  head["environment"] = {
      {"libtorch", environment.libtorch_version},
      {"cpu_capability", environment.cpu_capability},
      {"cuda_build", environment.cuda_build},
      {"cupti_api_version",
       environment.cupti_api_version ? Json(*environment.cupti_api_version) : Json(nullptr)}};
  return head;
}

Json to_json(const Report& report) {
  Json document;
  document["model"] = {{"path", report.model.path},
                       {"sha256", report.model.sha256},
                       {"parameter_bytes", report.model.parameter_bytes},
                       {"buffer_bytes", report.model.buffer_bytes}};
  document["inputs"] = to_json(report.inputs);
  document["run"] = {{"device", report.run.device},
                     {"mode", report.run.mode},
                     {"executor", report.run.executor},
                     {"seed", report.run.seed},
                     {"threads", report.run.threads}};
  document["totals"] = {{"saved_tensors", report.totals.saved_tensors},
                        {"saved_storages", report.totals.saved_storages},
                        {"saved_bytes", report.totals.saved_bytes},
                        {"duplicate_bytes", report.totals.duplicate_bytes},
                        {"floor_bytes", report.totals.floor_bytes},
                        {"unattributed_bytes", report.totals.unattributed_bytes}};
  document["modules"] = Json::array();
  for (const ModuleRow& row : report.modules) {
    document["modules"].push_back(
        {{"path", row.path}, {"type", row.type}, {"saved_bytes", row.saved_bytes}});
  }
  document["storages"] = storages_json(report);
  document["duplicates"] = duplicates_json(report);
  document["notes"] = report.notes;
  return document;
}

}  // namespace invact
