// Gives every storage seen during a step one id, safe against address reuse.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/StorageImpl.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/jit/api/module.h>

#include <unordered_map>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

class StorageTable {
 public:
  /// Knows the module's parameters and buffers from the start.
  explicit StorageTable(const torch::jit::Module& module);

  /// The id of the storage under `tensor`; a new one where it was never seen. Tensors without a
  /// storage of their own (sparse, mkldnn) count as one storage per tensor, with the bytes of their
  /// elements.
  StorageId id_of(const at::Tensor& tensor);

  const std::vector<Storage>& storages() const { return storages_; }

 private:
  StorageId add(const at::Tensor& tensor, StorageRole role);

  std::vector<Storage> storages_;
  std::unordered_map<const void*, StorageId> ids_;
  /// A weak reference keeps the StorageImpl's address taken while its data is freed: an address
  /// names one storage.
  std::vector<c10::weak_intrusive_ptr<c10::StorageImpl>> storage_pins_;
  std::vector<c10::weak_intrusive_ptr<at::TensorImpl, c10::UndefinedTensorImpl>> tensor_pins_;
};

}  // namespace invact
