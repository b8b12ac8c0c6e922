#include "rewriter/graph/observed_savers.h"

#include <algorithm>

namespace invact {

ObservedSavers::ObservedSavers(const Report& report) {
  for (const SavedTensor& saved : report.saved) {
    saved_by_[saved.call.value].push_back(saved.storage);
    savers_[saved.storage.value].push_back(saved.call);
  }
}

const std::vector<StorageId>& ObservedSavers::saved_by(CallId call) const {
  static const std::vector<StorageId> none;
  const auto found = saved_by_.find(call.value);
  return found == saved_by_.end() ? none : found->second;
}

std::vector<CallId> ObservedSavers::other_savers(StorageId storage,
                                                 const std::vector<CallId>& without) const {
  std::vector<CallId> others;
  const auto found = savers_.find(storage.value);
  if (found == savers_.end()) return others;
  for (const CallId saver : found->second) {
    if (std::ranges::count(without, saver) == 0) others.push_back(saver);
  }
  return others;
}

}  // namespace invact
