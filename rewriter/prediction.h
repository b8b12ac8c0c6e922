// The prediction: what a model keeps once certain operator calls keep their output instead of their
// input. Exact and pure: the same set arithmetic over storages by which the Report counts.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "analyzer/report.h"
#include "kernels/catalog.h"

namespace invact {

class Prediction {
 public:
  explicit Prediction(const Report& report);

  /// Saved bytes if exactly these calls are replaced. Each must be a known activation
  /// (kernels/catalog.h); one that saved nothing (no gradient needed) keeps saving nothing.
  int64_t saved_bytes(const std::unordered_set<int64_t>& replaced_calls) const;

  /// Whether this call saved anything.
  bool saves(CallId call) const { return saving_calls_.contains(call.value); }

  /// Calls other than `call` that keep `storage`.
  std::vector<CallId> other_savers(StorageId storage, CallId call) const;

  /// Storages that `call` keeps.
  std::vector<StorageId> kept_by(CallId call) const;

 private:
  const Report& report_;
  std::unordered_set<int64_t> saving_calls_;
};

}  // namespace invact
