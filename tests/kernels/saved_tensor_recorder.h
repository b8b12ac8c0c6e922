// Sees what autograd saves: while a recorder lives, every tensor that a node saves passes through
// it, and comes back in backward as the recorder says. Without one, saved tensors are kept as
// usual, version check included.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace invact::testing {

class SavedTensorRecorder {
 public:
  /// `unpack` maps a saved tensor to what backward gets; default: the tensor itself.
  explicit SavedTensorRecorder(std::function<at::Tensor(const at::Tensor&)> unpack = nullptr);
  ~SavedTensorRecorder();
  SavedTensorRecorder(const SavedTensorRecorder&) = delete;
  SavedTensorRecorder& operator=(const SavedTensorRecorder&) = delete;

  /// In the order of saving, detached.
  const std::vector<at::Tensor>& saved() const { return saved_; }

 private:
  friend struct RecordingHooks;
  std::function<at::Tensor(const at::Tensor&)> unpack_;
  std::vector<at::Tensor> saved_;
};

}  // namespace invact::testing
