// What a document of `invact analyze --json` says, read back: old reports, and the one just made.
// Diffs, gates and the CI formats read this and nothing else, so that a report compared now and one
// compared later give the same answer. Plain data; knows no torch.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// The module, operator and source line that a row names.
struct Place {
  std::optional<std::string> module;  ///< Empty: the top module; nullopt: could not be attributed.
  std::string op;
  SourceLocation source;
  bool operator==(const Place&) const = default;
};

/// "features.1.0.block.3", "(top)" or "(unattributed)".
std::string module_text(const Place& place);

struct SavedStorage {
  int64_t id = 0;
  int64_t bytes = 0;
  std::string tensor;  ///< "float32 8x32".
  Place place;         ///< Of its first saver.
  bool operator==(const SavedStorage&) const = default;
};

struct SavedTwice {
  std::string kind;  ///< "activation"; a newer report may name kinds that this program lacks.
  int64_t bytes = 0;
  Place place;
  std::string advice;
  bool operator==(const SavedTwice&) const = default;
};

struct ReportTotals {
  int64_t saved_bytes = 0;
  int64_t duplicate_bytes = 0;
  int64_t reclaimable_bytes = 0;
  int64_t floor_bytes = 0;
  std::optional<int64_t> peak_bytes;  ///< Where a timeline was recorded.
  bool operator==(const ReportTotals&) const = default;
};

/// What must agree for two reports to be comparable, as text; a field that a document lacks is
/// empty and compares equal to anything.
struct RunSetup {
  std::vector<std::string> inputs;  ///< "x: float32 8x16, randn".
  std::string device;               ///< "cuda", without the index: bytes do not depend on it.
  std::string mode;
  std::string executor;
  std::string autocast;  ///< "off" where the document has none.
  std::string libtorch;
  bool operator==(const RunSetup&) const = default;
};

struct ReportFile {
  std::string name;  ///< The file, or "this run".
  std::string tool_version;
  std::string model_path;
  std::string model_sha256;
  RunSetup setup;
  ReportTotals totals;
  std::vector<SavedStorage> storages;  ///< As in the document: bytes descending.
  std::vector<SavedTwice> duplicates;  ///< As in the document.
  bool operator==(const ReportFile&) const = default;
};

/// Reads schema 1.x. @throws Error(kUsage) with one sentence where the document is none of
/// `invact analyze`, has a newer major version, or contradicts itself. `name` is for the message.
ReportFile report_from_json(const nlohmann::ordered_json& document, const std::string& name);

/// The same from a file. @throws Error(kUsage) also where it cannot be read or is no JSON.
ReportFile read_report_file(const std::string& path);

/// Drops `prefix` from the model's path alone, for a report whose sources have lost it already.
void strip_model_prefix(const std::string& prefix, ReportFile& report);

/// Drops `prefix` from sources and from the model's path.
void strip_source_prefix(const std::string& prefix, ReportFile& report);

}  // namespace invact
