#include "cli/ci/report_diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>

#include "analyzer/error.h"

namespace invact {
namespace {

/// nullopt (unattributed) sorts before every module.
using RowKey = std::tuple<std::optional<std::string>, std::string, int64_t>;

RowKey key_of(const DiffRow& row) {
  return {row.place.module, row.place.op, row.slot};
}

std::map<RowKey, const SavedStorage*> rows_by_key(const ReportFile& report) {
  std::vector<const SavedStorage*> in_forward_order;
  for (const SavedStorage& storage : report.storages) in_forward_order.push_back(&storage);
  std::sort(in_forward_order.begin(), in_forward_order.end(),
            [](const auto* a, const auto* b) { return a->id < b->id; });
  std::map<std::pair<std::optional<std::string>, std::string>, int64_t> slots;
  std::map<RowKey, const SavedStorage*> rows;
  for (const SavedStorage* const storage : in_forward_order) {
    const int64_t slot = ++slots[{storage->place.module, storage->place.op}];
    rows.emplace(RowKey{storage->place.module, storage->place.op, slot}, storage);
  }
  return rows;
}

/// `shown`: the newer of the two that are there.
DiffRow make_row(const RowKey& key, const SavedStorage& shown, const SavedStorage* before,
                 const SavedStorage* after) {
  DiffRow row;
  row.place = shown.place;
  row.slot = std::get<2>(key);
  row.tensor = shown.tensor;
  if (before) row.old_bytes = before->bytes;
  if (after) row.new_bytes = after->bytes;
  return row;
}

void add_row(DiffRow row, ReportDiff& diff) {
  const auto kind = row.kind();
  if (!kind) {
    ++diff.unchanged_rows;
    diff.unchanged_bytes += *row.new_bytes;
    return;
  }
  ChangeSum& sum = diff.sums.at(static_cast<size_t>(*kind));
  ++sum.rows;
  sum.bytes += row.change();
  diff.rows.push_back(std::move(row));
}

void add_rows(ReportDiff& diff) {
  const auto old_rows = rows_by_key(diff.old_report);
  const auto new_rows = rows_by_key(diff.new_report);
  for (const auto& [key, after] : new_rows) {
    const auto before = old_rows.find(key);
    const auto* const old = before == old_rows.end() ? nullptr : before->second;
    add_row(make_row(key, *after, old, after), diff);
  }
  for (const auto& [key, before] : old_rows) {
    if (!new_rows.contains(key)) add_row(make_row(key, *before, before, nullptr), diff);
  }
  std::sort(diff.rows.begin(), diff.rows.end(), [](const DiffRow& a, const DiffRow& b) {
    const int64_t left = std::abs(a.change()), right = std::abs(b.change());
    return left != right ? left > right : key_of(a) < key_of(b);
  });
}

std::string inputs_text(const std::vector<std::string>& inputs) {
  return inputs.empty() ? "none" : fmt::format("{}", fmt::join(inputs, "; "));
}

}  // namespace

std::string change_kind_name(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kGrew:
      return "grew";
    case ChangeKind::kShrank:
      return "shrank";
    case ChangeKind::kNew:
      return "new";
    case ChangeKind::kGone:
      return "gone";
  }
  return "";
}

std::optional<ChangeKind> DiffRow::kind() const {
  if (!old_bytes) return ChangeKind::kNew;
  if (!new_bytes) return ChangeKind::kGone;
  if (change() == 0) return std::nullopt;
  return change() > 0 ? ChangeKind::kGrew : ChangeKind::kShrank;
}

std::optional<int64_t> TotalRow::change() const {
  if (!old_bytes || !new_bytes) return std::nullopt;
  return *new_bytes - *old_bytes;
}

std::vector<TotalRow> total_rows(const ReportDiff& diff) {
  const ReportTotals& before = diff.old_report.totals;
  const ReportTotals& after = diff.new_report.totals;
  std::vector<TotalRow> rows = {
      {"saved", "saved_bytes", before.saved_bytes, after.saved_bytes},
      {"kept twice", "duplicate_bytes", before.duplicate_bytes, after.duplicate_bytes},
      {"a rewrite frees", "reclaimable_bytes", before.reclaimable_bytes, after.reclaimable_bytes},
      {"floor", "floor_bytes", before.floor_bytes, after.floor_bytes},
  };
  if (before.peak_bytes || after.peak_bytes) {
    rows.push_back({"peak", "peak_bytes", before.peak_bytes, after.peak_bytes});
  }
  return rows;
}

std::string row_text(const DiffRow& row) {
  const std::string slot = row.slot > 1 ? fmt::format(" #{}", row.slot) : "";
  return fmt::format("{}{} in {}", row.place.op, slot, module_text(row.place));
}

std::vector<SetupDifference> setup_differences(const RunSetup& old_setup,
                                               const RunSetup& new_setup) {
  std::vector<SetupDifference> differences;
  const auto compare = [&](const char* what, const std::string& before, const std::string& after) {
    if (before != after && !before.empty() && !after.empty()) {
      differences.push_back({what, before, after});
    }
  };
  compare("inputs", inputs_text(old_setup.inputs), inputs_text(new_setup.inputs));
  compare("device", old_setup.device, new_setup.device);
  compare("mode", old_setup.mode, new_setup.mode);
  compare("executor", old_setup.executor, new_setup.executor);
  compare("autocast", old_setup.autocast, new_setup.autocast);
  compare("LibTorch", old_setup.libtorch, new_setup.libtorch);
  return differences;
}

ReportDiff diff_reports(const ReportFile& old_report, const ReportFile& new_report,
                        bool allow_different) {
  ReportDiff diff;
  diff.setup = setup_differences(old_report.setup, new_report.setup);
  if (!diff.setup.empty() && !allow_different) {
    std::vector<std::string> texts;
    for (const SetupDifference& difference : diff.setup) {
      texts.push_back(
          fmt::format("{} ({} / {})", difference.what, difference.old_value, difference.new_value));
    }
    throw_usage_error(
        fmt::format("'{}' and '{}' are of different runs and do not compare: {}; make the old one "
                    "again, or give --allow-different.",
                    old_report.name, new_report.name, fmt::join(texts, ", ")));
  }
  diff.old_report = old_report;
  diff.new_report = new_report;
  add_rows(diff);
  return diff;
}

}  // namespace invact
