// BenchResult -> JSON (schemas/bench.schema.json).
#pragma once

#include <nlohmann/json.hpp>

#include "analyzer/bench_result.h"

namespace invact {

/// Everything but the document's head.
nlohmann::ordered_json to_json(const BenchResult& result);

}  // namespace invact
