#include "rewriter/planning/prediction.h"

namespace invact {

Prediction::Prediction(const Report& report)
    : report_(report),
      observed_(report),
      saver_counts_(report.seen_storages.size()),
      release_counts_(report.seen_storages.size()) {
  for (const SavedTensor& saved : report.saved) add_saver(saved.storage);
}

/// Parameters and buffers never count: they are in memory whether they are saved or not.
bool Prediction::counts(StorageId storage) const {
  return report_.storage(storage).role == StorageRole::kActivation &&
         saver_counts_.at(storage.value) > 0 && release_counts_.at(storage.value) == 0;
}

void Prediction::add_saver(StorageId storage) {
  const bool counted = counts(storage);
  ++saver_counts_.at(storage.value);
  if (!counted && counts(storage)) bytes_ += report_.storage(storage).bytes;
}

void Prediction::remove_saver(StorageId storage) {
  const bool counted = counts(storage);
  --saver_counts_.at(storage.value);
  if (counted && !counts(storage)) bytes_ -= report_.storage(storage).bytes;
}

void Prediction::set_released(StorageId storage, int64_t change) {
  const bool counted = counts(storage);
  release_counts_.at(storage.value) += change;
  if (counted != counts(storage)) {
    bytes_ += counted ? -report_.storage(storage).bytes : report_.storage(storage).bytes;
  }
}

void Prediction::replace(const Execution& execution) {
  for (const CallId call : execution.calls) {
    for (const StorageId storage : observed_.saved_by(call)) remove_saver(storage);
  }
  if (execution.saved_storage) add_saver(*execution.saved_storage);
  for (const StorageId storage : execution.saved_inputs) add_saver(storage);
  if (execution.released_storage) set_released(*execution.released_storage, 1);
  bytes_ += execution.own_bytes;
}

void Prediction::put_back(const Execution& execution) {
  bytes_ -= execution.own_bytes;
  if (execution.released_storage) set_released(*execution.released_storage, -1);
  for (const StorageId storage : execution.saved_inputs) remove_saver(storage);
  if (execution.saved_storage) remove_saver(*execution.saved_storage);
  for (const CallId call : execution.calls) {
    for (const StorageId storage : observed_.saved_by(call)) add_saver(storage);
  }
}

int64_t Prediction::delta(const std::vector<Execution>& executions) {
  const int64_t before = bytes_;
  for (const Execution& execution : executions) replace(execution);
  const int64_t after = bytes_;
  for (const Execution& execution : executions) put_back(execution);
  return after - before;
}

}  // namespace invact
