// What changed between two reports, row by row and total by total. Pure: from plain data to plain
// data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/ci/report_file.h"

namespace invact {

enum class ChangeKind { kGrew, kShrank, kNew, kGone };
inline constexpr std::array kChangeKinds = {ChangeKind::kGrew, ChangeKind::kShrank,
                                            ChangeKind::kNew, ChangeKind::kGone};

/// "grew", "shrank", "new", "gone".
std::string change_kind_name(ChangeKind kind);

/// One saved storage before and after. Storage ids and lines move with every edit; the key is what
/// stays: module, operator, and which of their storages it is.
struct DiffRow {
  Place place;       ///< The source is the new report's where it has the row.
  int64_t slot = 0;  ///< From 1, among the rows of the same module and operator, in forward order.
  std::optional<int64_t> old_bytes;  ///< nullopt: the row is new.
  std::optional<int64_t> new_bytes;  ///< nullopt: it is gone.
  std::string tensor;                ///< Of the new row, or of the one that is gone.
  bool operator==(const DiffRow&) const = default;

  int64_t change() const { return new_bytes.value_or(0) - old_bytes.value_or(0); }
  /// nullopt: as many bytes as before.
  std::optional<ChangeKind> kind() const;
};

struct ChangeSum {
  int64_t rows = 0;
  int64_t bytes = 0;  ///< Negative where bytes went.
  bool operator==(const ChangeSum&) const = default;
};

/// Something in which the two runs differ, so that their bytes do not compare.
struct SetupDifference {
  std::string what;  ///< "inputs", "device", "mode", "executor", "autocast", "LibTorch".
  std::string old_value;
  std::string new_value;
  bool operator==(const SetupDifference&) const = default;
};

struct ReportDiff {
  ReportFile old_report;
  ReportFile new_report;
  std::vector<SetupDifference> setup;  ///< Empty unless different runs were allowed.
  std::vector<DiffRow> rows;           ///< Changed ones: largest change first, then by key.
  std::array<ChangeSum, kChangeKinds.size()> sums;  ///< By ChangeKind.
  int64_t unchanged_rows = 0;
  int64_t unchanged_bytes = 0;

  /// The sum of the rows' changes.
  int64_t change() const { return new_report.totals.saved_bytes - old_report.totals.saved_bytes; }
  const ChangeSum& sum(ChangeKind kind) const { return sums.at(static_cast<size_t>(kind)); }
};

/// One line of totals, old and new; a report may lack a number (the peak).
struct TotalRow {
  std::string name;  ///< As `invact analyze` calls it.
  std::string key;   ///< As JSON does.
  std::optional<int64_t> old_bytes;
  std::optional<int64_t> new_bytes;

  std::optional<int64_t> change() const;
};

/// saved, kept twice, a rewrite frees, floor, peak (where either report has one).
std::vector<TotalRow> total_rows(const ReportDiff& diff);

/// "aten::linear #2 in features.1"; the first slot goes without a number.
std::string row_text(const DiffRow& row);

/// In which ways the two runs do not compare.
std::vector<SetupDifference> setup_differences(const RunSetup& old_setup,
                                               const RunSetup& new_setup);

/// @throws Error(kUsage), naming what differs, unless `allow_different`.
ReportDiff diff_reports(const ReportFile& old_report, const ReportFile& new_report,
                        bool allow_different);

}  // namespace invact
