#include "rewriter/planning/prediction.h"

#include <algorithm>

namespace invact {

Prediction::Prediction(const Report& report)
    : report_(report),
      keepers_(report.seen_storages.size()),
      released_(report.seen_storages.size()) {
  for (const SavedTensor& saved : report.saved) {
    kept_by_[saved.call.value].push_back(saved.storage);
    savers_[saved.storage.value].push_back(saved.call);
    add_keeper(saved.storage);
  }
}

/// Parameters and buffers never do: they are there whether they are kept or not.
bool Prediction::counts(StorageId storage) const {
  return report_.storage(storage).role == StorageRole::kActivation &&
         keepers_.at(storage.value) > 0 && released_.at(storage.value) == 0;
}

void Prediction::add_keeper(StorageId storage) {
  const bool counted = counts(storage);
  ++keepers_.at(storage.value);
  if (!counted && counts(storage)) bytes_ += report_.storage(storage).bytes;
}

void Prediction::remove_keeper(StorageId storage) {
  const bool counted = counts(storage);
  --keepers_.at(storage.value);
  if (counted && !counts(storage)) bytes_ -= report_.storage(storage).bytes;
}

void Prediction::set_released(StorageId storage, int64_t change) {
  const bool counted = counts(storage);
  released_.at(storage.value) += change;
  if (counted != counts(storage)) {
    bytes_ += counted ? -report_.storage(storage).bytes : report_.storage(storage).bytes;
  }
}

void Prediction::replace(const Execution& execution) {
  for (const CallId call : execution.calls) {
    for (const StorageId storage : kept_by(call)) remove_keeper(storage);
  }
  if (execution.keeps) add_keeper(*execution.keeps);
  for (const StorageId storage : execution.inputs) add_keeper(storage);
  if (execution.releases) set_released(*execution.releases, 1);
  bytes_ += execution.bytes;
}

void Prediction::put_back(const Execution& execution) {
  bytes_ -= execution.bytes;
  if (execution.releases) set_released(*execution.releases, -1);
  for (const StorageId storage : execution.inputs) remove_keeper(storage);
  if (execution.keeps) remove_keeper(*execution.keeps);
  for (const CallId call : execution.calls) {
    for (const StorageId storage : kept_by(call)) add_keeper(storage);
  }
}

int64_t Prediction::delta(const std::vector<Execution>& executions) {
  const int64_t before = bytes_;
  for (const Execution& execution : executions) replace(execution);
  const int64_t after = bytes_;
  for (const Execution& execution : executions) put_back(execution);
  return after - before;
}

std::vector<CallId> Prediction::other_savers(StorageId storage,
                                             const std::vector<CallId>& without) const {
  std::vector<CallId> others;
  const auto found = savers_.find(storage.value);
  if (found == savers_.end()) return others;
  for (const CallId saver : found->second) {
    if (std::find(without.begin(), without.end(), saver) == without.end()) others.push_back(saver);
  }
  return others;
}

std::vector<StorageId> Prediction::kept_by(CallId call) const {
  const auto found = kept_by_.find(call.value);
  return found == kept_by_.end() ? std::vector<StorageId>() : found->second;
}

}  // namespace invact
