#include "analyzer/reporting/json.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

Json tensor_json(const TensorFacts& tensor) {
  return {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}};
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
    Json carriers = Json::array();
    for (const StorageId id : duplicate.carriers) carriers.push_back(id.value);
    array.push_back({{"kind", duplicate_kind_name(duplicate.kind)},
                     {"storage", duplicate.storage.value},
                     {"kept_storages", std::move(carriers)},
                     {"bytes", duplicate.bytes},
                     {"module", module_or_null(call)},
                     {"op", call.op},
                     {"source", to_json(call.source)},
                     {"advice", duplicate_advice(duplicate.kind)}});
  }
  return array;
}

Json bytes_by_kind(const BytesByKind& bytes) {
  Json object;
  for (size_t i = 0; i < bytes.size(); ++i) {
    object[memory_kind_name(static_cast<MemoryKind>(i))] = bytes[i];
  }
  return object;
}

Json peak_json(const MemoryPeak& peak) {
  Json live = Json::array();
  for (const LiveBlock& block : peak.live) {
    live.push_back({{"bytes", block.bytes},
                    {"kind", memory_kind_name(block.kind)},
                    {"storage", block.storage ? Json(block.storage->value) : Json(nullptr)},
                    {"op", block.op}});
  }
  return {{"bytes", peak.bytes},
          {"time_ns", peak.time_ns},
          {"phase", step_phase_name(peak.phase)},
          {"op", peak.op},
          {"live_bytes", bytes_by_kind(peak.live_bytes)},
          {"live", std::move(live)}};
}

/// Points as rows of numbers: a timeline has hundreds.
Json timeline_json(const MemoryTimeline& timeline) {
  Json columns = {"time_ns"};
  for (size_t i = 0; i < kMemoryKindCount; ++i) {
    columns.push_back(memory_kind_name(static_cast<MemoryKind>(i)));
  }
  Json points = Json::array();
  for (const TimelinePoint& point : timeline.points) {
    Json row = {point.time_ns};
    for (const int64_t bytes : point.live_bytes) row.push_back(bytes);
    points.push_back(std::move(row));
  }
  Json releases = Json::array();
  for (const StorageRelease& release : timeline.releases) {
    releases.push_back({{"storage", release.storage.value}, {"time_ns", release.time_ns}});
  }
  return {{"backend", timeline.backend},    {"forward_end_ns", timeline.forward_end_ns},
          {"end_ns", timeline.end_ns},      {"columns", std::move(columns)},
          {"points", std::move(points)},    {"peak", peak_json(timeline.peak)},
          {"releases", std::move(releases)}};
}

Json executors_json(const ExecutorComparison& executors) {
  const auto totals = [](const Totals& of) -> Json {
    return {{"saved_tensors", of.saved_tensors},
            {"saved_storages", of.saved_storages},
            {"saved_bytes", of.saved_bytes}};
  };
  const auto storages = [](const std::vector<StorageGroup>& groups) {
    Json array = Json::array();
    for (const StorageGroup& group : groups) {
      array.push_back({{"dtype", group.dtype},
                       {"shape", group.shape},
                       {"op", group.op},
                       {"count", group.count},
                       {"bytes", group.bytes}});
    }
    return array;
  };
  return {{"eager", totals(executors.eager)},
          {"default", totals(executors.profiling)},
          {"only_eager", storages(executors.only_eager)},
          {"only_default", storages(executors.only_profiling)}};
}

}  // namespace

Json to_json(const ModelRecord& model) {
  return {{"path", model.path},
          {"sha256", model.sha256},
          {"parameter_bytes", model.parameter_bytes},
          {"trainable_parameter_bytes", model.trainable_parameter_bytes},
          {"buffer_bytes", model.buffer_bytes}};
}

Json to_json(const RunRecord& run) {
  return {{"device", run.device},
          {"mode", run.mode},
          {"executor", run.executor},
          {"autocast", run.autocast.empty() ? Json(nullptr) : Json(run.autocast)},
          {"seed", run.seed},
          {"threads", run.threads}};
}

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

Json module_or_null(const OperatorCall& call) {
  return call.attributed ? Json(call.module_path) : Json(nullptr);
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
  document["model"] = to_json(report.model);
  document["inputs"] = to_json(report.inputs);
  document["run"] = to_json(report.run);
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
  document["timeline"] = report.timeline ? timeline_json(*report.timeline) : Json(nullptr);
  document["executors"] = report.executors ? executors_json(*report.executors) : Json(nullptr);
  document["notes"] = report.notes;
  return document;
}

namespace {

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

namespace {

Json quartiles_json(const Quartiles& of) {
  return {{"lower_quartile", of.lower}, {"median", of.median}, {"upper_quartile", of.upper}};
}

Json side_json(const BenchSide& side) {
  Json times = quartiles_json(step_quartiles(side));
  times["samples"] = side.step_ns;
  return {{"model", to_json(side.model)},
          {"step_ns", std::move(times)},
          {"saved_bytes", side.saved_bytes},
          {"peak_bytes", side.peak.bytes},
          {"peak_phase", step_phase_name(side.peak.phase)},
          {"peak_op", side.peak.op}};
}

Json ratio_json(const BenchResult& result) {
  std::vector<double> ratios = time_ratios(result);
  if (ratios.empty()) return nullptr;
  Json json = quartiles_json(quartiles(ratios));
  json["samples"] = std::move(ratios);
  return json;
}

}  // namespace

Json to_json(const BenchResult& result) {
  Json document;
  document["inputs"] = to_json(result.inputs);
  document["run"] = to_json(result.run);
  document["pairs"] = result.original.step_ns.size();
  document["warmup"] = result.warmup_count;
  document["allocator"] = result.allocator;
  document["original"] = side_json(result.original);
  document["rewritten"] = result.rewritten ? side_json(*result.rewritten) : Json(nullptr);
  document["ratio"] = ratio_json(result);
  document["notes"] = bench_notes(result);
  return document;
}

}  // namespace invact
