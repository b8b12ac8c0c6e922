// DeviceReport as the `cuda` member of the analyze document (schemas/analyze.schema.json).
#pragma once

#include <nlohmann/json.hpp>

#include "analyzer/device_report.h"

namespace invact {

nlohmann::ordered_json to_json(const DeviceReport& report);

}  // namespace invact
