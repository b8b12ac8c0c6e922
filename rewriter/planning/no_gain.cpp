#include "rewriter/planning/no_gain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rewriter/planning/legality.h"

namespace invact {

Rejection why_no_gain(const Candidate& candidate, const Prediction& prediction,
                      const Report& report) {
  for (const Execution& execution : candidate.executions) {
    if (execution.keeps && prediction.other_savers(*execution.keeps, execution.calls).empty()) {
      return {"output_not_kept",
              fmt::format("nobody else keeps its output (read by {}), so keeping it instead of "
                          "the input frees nothing",
                          fmt::join(consumers(candidate.graph_site), ", "))};
    }
    for (const CallId call : execution.calls) {
      for (const StorageId storage : prediction.kept_by(call)) {
        const auto savers = prediction.other_savers(storage, execution.calls);
        if (savers.empty()) continue;
        const OperatorCall& other = report.call(savers.front());
        return {"input_kept_elsewhere", fmt::format("its input's storage is also kept by {} in "
                                                    "'{}'",
                                                    other.op, other.module_path)};
      }
    }
  }
  return {"no_gain", "what it keeps of its own would cost as much as the input frees"};
}

}  // namespace invact
