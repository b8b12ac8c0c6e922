// Which calls of the observed step saved which storages for backward: the report's list of saved
// tensors, looked up from either side. Pure; no torch.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "analyzer/report.h"

namespace invact {

class ObservedSavers {
 public:
  explicit ObservedSavers(const Report& report);

  /// Whether this call saved anything.
  bool saves(CallId call) const { return saved_by_.contains(call.value); }

  /// The storages that `call` saved, once per tensor.
  const std::vector<StorageId>& saved_by(CallId call) const;

  /// The calls that saved `storage`, without those in `without`.
  std::vector<CallId> other_savers(StorageId storage, const std::vector<CallId>& without) const;

  /// Whether any call saved `storage`.
  bool is_saved(StorageId storage) const { return savers_.contains(storage.value); }

 private:
  std::unordered_map<int64_t, std::vector<StorageId>> saved_by_;  ///< By call.
  std::unordered_map<int64_t, std::vector<CallId>> savers_;       ///< By storage.
};

}  // namespace invact
