#include "rewriter/planning/running_again.h"

#include <algorithm>

namespace invact {
namespace {

/// Of a chain's largest tensor.
constexpr int64_t kWorthRunningAgain = 8;

/// The largest tensor that an execution reads or makes.
int64_t largest_tensor(const Execution& execution, const Report& report) {
  int64_t bytes = 0;
  for (const CallId id : execution.calls) {
    const OperatorCall& call = report.call(id);
    for (const auto* storages : {&call.inputs, &call.outputs}) {
      for (const StorageId storage : *storages) {
        const Storage& memory = report.storage(storage);
        if (memory.role == StorageRole::kActivation) bytes = std::max(bytes, memory.bytes);
      }
    }
  }
  return bytes;
}

}  // namespace

int64_t extra_ns(const Candidate& candidate, const Report& report) {
  int64_t ns = 0;
  for (const Execution& execution : candidate.executions) {
    for (const CallId call : execution.calls) ns += report.call(call).forward_ns;
  }
  return ns;
}

int64_t least_worthwhile_bytes(const Candidate& candidate, const Report& report) {
  const Match& match = candidate.graph_site.match();
  if (!match.is_recomputed() && !match.may_lapse) return 0;
  int64_t bytes = 0;
  for (const Execution& execution : candidate.executions) {
    const int64_t share = largest_tensor(execution, report) / kWorthRunningAgain;
    bytes += match.may_lapse ? 2 * share : share;
  }
  return bytes;
}

}  // namespace invact
