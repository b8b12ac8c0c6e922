#include "rewriter/prediction.h"

#include <algorithm>

namespace invact {

Prediction::Prediction(const Report& report) : report_(report) {
  for (const SavedTensor& saved : report.saved) saving_calls_.insert(saved.call.value);
}

int64_t Prediction::saved_bytes(const std::unordered_set<int64_t>& replaced_calls) const {
  std::unordered_set<int64_t> kept;
  for (const SavedTensor& saved : report_.saved) {
    if (!replaced_calls.contains(saved.call.value)) kept.insert(saved.storage.value);
  }
  int64_t bytes = 0;
  for (const int64_t id : replaced_calls) {
    const OperatorCall& call = report_.calls.at(id);
    if (!saves({id}) || !call.output) continue;
    kept.insert(call.output->value);
    const auto* const activation = kernels::find_activation(call.op, call.variant);
    bytes += kernels::branch_bytes(*activation, call.output_tensor.element_count);
  }
  for (const int64_t id : kept) bytes += report_.storage({id}).bytes;
  return bytes;
}

std::vector<CallId> Prediction::other_savers(StorageId storage, CallId call) const {
  std::vector<CallId> savers;
  for (const SavedTensor& saved : report_.saved) {
    if (saved.storage == storage && saved.call != call) savers.push_back(saved.call);
  }
  return savers;
}

std::vector<StorageId> Prediction::kept_by(CallId call) const {
  std::vector<StorageId> storages;
  for (const SavedTensor& saved : report_.saved) {
    if (saved.call == call) storages.push_back(saved.storage);
  }
  return storages;
}

}  // namespace invact
