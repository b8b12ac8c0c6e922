#include "analyzer/reporting/build_report.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "analyzer/reporting/build_timeline.h"
#include "analyzer/reporting/find_duplicates.h"
#include "kernels/heavy_operators.h"

namespace invact {
namespace {

void select_activations(const Trace& trace, Report& report) {
  for (const SavedTensor& saved : trace.saved) {
    if (trace.storages.at(saved.storage.value).role == StorageRole::kActivation) {
      report.saved.push_back(saved);
    }
  }
}

void add_storage_rows(const Trace& trace, Report& report) {
  std::map<StorageId, StorageRow> rows;
  for (const SavedTensor& saved : report.saved) {
    auto [found, fresh] = rows.try_emplace(saved.storage);
    StorageRow& row = found->second;
    if (fresh) {
      row.id = saved.storage;
      row.bytes = trace.storages.at(saved.storage.value).bytes;
      row.tensor = saved.tensor;
      row.first_call = saved.call;
    }
    row.savers.push_back(saved.call);
    row.in_floor |= kernels::is_heavy(report.call(saved.call).op);
  }
  for (auto& [id, row] : rows) report.storages.push_back(std::move(row));
  std::sort(report.storages.begin(), report.storages.end(), [](const auto& a, const auto& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.id < b.id;
  });
}

void add_module_rows(const Trace& trace, Report& report) {
  std::map<std::string, ModuleRow> rows;
  for (const StorageRow& storage : report.storages) {
    const OperatorCall& call = report.call(storage.first_call);
    if (!call.attributed) {
      report.totals.unattributed_bytes += storage.bytes;
      continue;
    }
    ModuleRow& row = rows[call.module_path];
    row.path = call.module_path;
    row.type = call.module_type;
    row.saved_bytes += storage.bytes;
  }
  for (const ModuleRecord& module : trace.modules) {
    if (const auto found = rows.find(module.path); found != rows.end()) {
      found->second.type = module.type;
    }
  }
  for (auto& [path, row] : rows) report.modules.push_back(std::move(row));
  std::stable_sort(report.modules.begin(), report.modules.end(),
                   [](const auto& a, const auto& b) { return a.saved_bytes > b.saved_bytes; });
}

void add_totals(Report& report) {
  Totals& totals = report.totals;
  totals.saved_tensors = static_cast<int64_t>(report.saved.size());
  totals.saved_storages = static_cast<int64_t>(report.storages.size());
  for (const StorageRow& row : report.storages) {
    totals.saved_bytes += row.bytes;
    if (row.in_floor) totals.floor_bytes += row.bytes;
  }
  for (const Duplicate& duplicate : report.duplicates) totals.duplicate_bytes += duplicate.bytes;
}

/// Storages of `report` for which `other` has none of the same dtype and bytes left: a graph that
/// is differentiated as a whole saves other views of the same. The first ones are taken to be
/// shared.
std::vector<StorageGroup> storages_without(const Report& report, const Report& other) {
  std::map<std::pair<std::string, int64_t>, int64_t> left;
  for (const StorageRow& row : other.storages) ++left[{row.tensor.dtype, row.bytes}];
  std::map<std::tuple<std::string, std::vector<int64_t>, std::string>, StorageGroup> groups;
  for (const StorageRow& row : report.storages) {
    if (left[{row.tensor.dtype, row.bytes}]-- > 0) continue;
    const std::string& op = report.call(row.first_call).op;
    StorageGroup& group = groups[{row.tensor.dtype, row.tensor.shape, op}];
    group.dtype = row.tensor.dtype;
    group.shape = row.tensor.shape;
    group.op = op;
    ++group.count;
    group.bytes += row.bytes;
  }
  std::vector<StorageGroup> list;
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  return list;
}

}  // namespace

Report build_report(const Trace& trace) {
  Report report;
  report.model = trace.model;
  report.run = trace.run;
  report.inputs = trace.inputs;
  report.notes = trace.notes;
  report.calls = trace.calls;
  report.seen_storages = trace.storages;
  select_activations(trace, report);
  add_storage_rows(trace, report);
  add_module_rows(trace, report);
  report.duplicates = find_duplicates(report);
  add_totals(report);
  report.timeline = build_timeline(trace);
  if (!report.model.requires_grad) {
    report.notes.push_back(
        "No parameter of this model requires gradients: training keeps nothing.");
  }
  return report;
}

ExecutorComparison compare_executors(const Report& eager, const Report& profiling) {
  return {eager.totals, profiling.totals, storages_without(eager, profiling),
          storages_without(profiling, eager)};
}

}  // namespace invact
