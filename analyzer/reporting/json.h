// The analyzer's records as JSON, schema_version "1.1" (schemas/analyze.schema.json). Only this
// file and the edges of the program know JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "analyzer/bench_result.h"
#include "analyzer/device_report.h"
#include "analyzer/report.h"

namespace invact {

/// The major version is raised when a reader of the old documents would misread new ones.
inline constexpr const char* kSchemaVersion = "1.1";

/// schema_version, tool and environment: how every document begins.
nlohmann::ordered_json document_head(const Environment& environment);

/// model, inputs, run, totals (without reclaimable_bytes, which only a plan knows), modules,
/// storages, duplicates, notes.
nlohmann::ordered_json to_json(const Report& report);

/// The `cuda` member of the analyze document.
nlohmann::ordered_json to_json(const DeviceReport& report);

/// The bench document (schemas/bench.schema.json) but its head.
nlohmann::ordered_json to_json(const BenchResult& result);

// Parts that other documents have too.
nlohmann::ordered_json to_json(const ModelRecord& model);
nlohmann::ordered_json to_json(const RunRecord& run);
nlohmann::ordered_json to_json(const std::vector<InputRecord>& inputs);

/// The module that the call's code belongs to; null where it could not be attributed.
nlohmann::ordered_json module_or_null(const OperatorCall& call);

/// {"file": ..., "line": ...}; null where the source is unknown.
nlohmann::ordered_json to_json(const SourceLocation& source);

}  // namespace invact
