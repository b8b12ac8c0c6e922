// Reports made by hand, for tests of what reads them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/ci/gates.h"
#include "cli/ci/report_file.h"

namespace invact::testing {

/// A row of a report; ids are given in the order of calls.
void add_storage(ReportFile& report, const std::string& module, const std::string& op,
                 int64_t bytes);

/// Three rows, 9 MiB, of which 3 MiB are saved twice.
ReportFile small_report(const std::string& name);

/// small_report("old.json") with an added layer, a row that grew, one that shrank and one that is
/// gone.
ReportFile changed_report();

/// changed_report() against small_report(): all four gates, of which two fail; paths and names that
/// each format must escape.
CiResult ci_result();

/// What `invact analyze --json` writes for a model of two linears around a gelu.
nlohmann::ordered_json small_document();

}  // namespace invact::testing
