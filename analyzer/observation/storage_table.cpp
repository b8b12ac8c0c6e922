#include "analyzer/observation/storage_table.h"

namespace invact {
namespace {

const void* storage_key(const at::Tensor& tensor) {
  if (tensor.has_storage()) return tensor.storage().unsafeGetStorageImpl();
  return tensor.unsafeGetTensorImpl();
}

int64_t storage_bytes(const at::Tensor& tensor) {
  if (tensor.has_storage()) return static_cast<int64_t>(tensor.storage().nbytes());
  return tensor.numel() * static_cast<int64_t>(tensor.element_size());
}

}  // namespace

StorageTable::StorageTable(const torch::jit::Module& module) {
  for (const at::Tensor& parameter : module.parameters()) {
    if (parameter.defined()) add(parameter, StorageRole::kParameter);
  }
  for (const at::Tensor& buffer : module.buffers()) {
    if (buffer.defined()) add(buffer, StorageRole::kBuffer);
  }
}

StorageId StorageTable::add(const at::Tensor& tensor, StorageRole role) {
  const auto [found, fresh] =
      ids_.try_emplace(storage_key(tensor), StorageId{static_cast<int64_t>(storages_.size())});
  if (!fresh) return found->second;
  storages_.push_back({found->second, storage_bytes(tensor), role});
  if (tensor.has_storage()) {
    storage_pins_.push_back(tensor.storage().getWeakStorageImpl());
  } else {
    tensor_pins_.emplace_back(tensor.getIntrusivePtr());
  }
  return found->second;
}

StorageId StorageTable::id_of(const at::Tensor& tensor) {
  const StorageId id = add(tensor, StorageRole::kActivation);
  // An in-place resize may have let the storage grow since it was first seen.
  storages_[id.value].bytes = std::max(storages_[id.value].bytes, storage_bytes(tensor));
  return id;
}

}  // namespace invact
