#include "cli/ci/gates.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyzer/error.h"
#include "cli/text/size.h"

namespace invact {
namespace {

Gate size_gate(const std::string& name, const std::string& what, const Size& limit,
               int64_t actual_bytes) {
  Gate gate{name, limit.text, limit.bytes, actual_bytes, actual_bytes <= limit.bytes, ""};
  gate.sentence = fmt::format("{} {}, limit {}", what, format_bytes(actual_bytes), limit.text);
  if (!gate.passed) {
    gate.sentence += fmt::format(": {} too much", format_bytes(actual_bytes - limit.bytes));
  }
  return gate;
}

Gate growth_gate(const GrowthLimit& limit, const ReportDiff& diff) {
  const int64_t old_bytes = diff.old_report.totals.saved_bytes;
  Gate gate;
  gate.name = "max-growth";
  gate.limit = limit.text;
  gate.limit_bytes = limit.allowed_bytes(old_bytes);
  gate.actual_bytes = diff.change();
  gate.passed = gate.actual_bytes <= gate.limit_bytes;
  gate.sentence = fmt::format("saved bytes changed by {} against {} ({} before), limit {}",
                              format_change(gate.actual_bytes), diff.old_report.name,
                              format_bytes(old_bytes), limit.text);
  if (limit.relative) gate.sentence += fmt::format(" ({})", format_bytes(gate.limit_bytes));
  if (!gate.passed) {
    gate.sentence +=
        fmt::format(": {} too much", format_bytes(gate.actual_bytes - gate.limit_bytes));
  }
  return gate;
}

}  // namespace

bool CiResult::passed() const {
  return std::all_of(gates.begin(), gates.end(), [](const Gate& gate) { return gate.passed; });
}

std::vector<Gate> check_gates(const GateLimits& limits, const ReportFile& report,
                              const ReportDiff* diff) {
  const ReportTotals& totals = report.totals;
  std::vector<Gate> gates;
  if (limits.max_saved) {
    gates.push_back(size_gate("max-saved", "saved", *limits.max_saved, totals.saved_bytes));
  }
  if (limits.max_duplicate) {
    gates.push_back(
        size_gate("max-duplicate", "kept twice", *limits.max_duplicate, totals.duplicate_bytes));
  }
  if (limits.max_peak) {
    if (!totals.peak_bytes) {
      throw_environment_error(fmt::format(
          "--max-peak {} cannot be judged: no timeline of a whole step was recorded in this run.",
          limits.max_peak->text));
    }
    gates.push_back(size_gate("max-peak", "peak", *limits.max_peak, *totals.peak_bytes));
  }
  if (limits.max_growth) {
    if (!diff) throw_internal_error("a growth gate without a baseline");
    gates.push_back(growth_gate(*limits.max_growth, *diff));
  }
  return gates;
}

}  // namespace invact
