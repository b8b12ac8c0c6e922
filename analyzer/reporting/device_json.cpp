#include "analyzer/reporting/device_json.h"

#include "analyzer/reporting/json.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

Json levels_json(const DeviceReport& report) {
  const MemoryLevels& levels = report.levels;
  Json json = {{"saved_bytes", levels.saved_bytes},
               {"other_allocated_bytes", levels.other_allocated_bytes},
               {"allocated_bytes", levels.allocated_bytes},
               {"cached_bytes", levels.cached_bytes},
               {"reserved_bytes", levels.reserved_bytes}};
  if (report.backend != "cupti") return json;
  json["outside_bytes"] = levels.outside_bytes;
  json["unexplained_bytes"] = levels.unexplained_bytes;
  json["driver_bytes"] = levels.driver_bytes;
  return json;
}

Json operators_json(const std::vector<OperatorTime>& operators) {
  Json array = Json::array();
  for (const OperatorTime& row : operators) {
    array.push_back({{"module", module_or_null(row.place)},
                     {"op", row.place.op},
                     {"source", to_json(row.place.source)},
                     {"calls", row.call_count},
                     {"kernels", row.kernel_count},
                     {"forward_ns", row.forward_ns},
                     {"backward_ns", row.backward_ns}});
  }
  return array;
}

Json work_json(const DeviceReport& report) {
  Json json;
  json["time"] = {{"total_ns", report.time.total_ns},
                  {"forward_ns", report.time.forward_ns},
                  {"backward_ns", report.time.backward_ns},
                  {"unattributed_ns", report.time.unattributed_ns},
                  {"untimed", report.time.untimed_count}};
  json["operators"] = operators_json(report.operators);
  json["kernels"] = Json::array();
  for (const KernelRow& row : report.kernels) {
    json["kernels"].push_back(
        {{"name", row.name}, {"launches", row.launch_count}, {"total_ns", row.total_ns}});
  }
  json["transfers"] = Json::array();
  for (const TransferRow& row : report.transfers) {
    json["transfers"].push_back({{"kind", row.kind},
                                 {"count", row.count},
                                 {"bytes", row.bytes},
                                 {"total_ns", row.total_ns}});
  }
  return json;
}

}  // namespace

Json to_json(const DeviceReport& report) {
  Json json;
  json["backend"] = report.backend;
  if (!report.note.empty()) json["note"] = report.note;
  json["levels"] = levels_json(report);
  if (report.backend != "cupti") return json;
  json["pinned_host_bytes"] = report.pinned_host_bytes;
  json["libraries"] = Json::array();
  for (const LibraryRow& row : report.libraries) {
    json["libraries"].push_back(
        {{"library", row.library.empty() ? Json(nullptr) : Json(row.library)},
         {"is_allocator", row.is_allocator},
         {"bytes", row.bytes},
         {"allocations", row.allocation_count}});
  }
  json.update(work_json(report));
  json["records"] = {{"dropped", report.dropped_count},
                     {"unknown", report.unknown_count},
                     {"incomplete", report.incomplete_count}};
  return json;
}

}  // namespace invact
