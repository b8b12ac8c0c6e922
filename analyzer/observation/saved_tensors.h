// Observes what autograd saves for backward while a model's forward runs, and which operator of the
// model saved it.
//
// LibTorch asks its engine for default saved-variable hooks
// (torch/csrc/autograd/saved_variable.cpp). The engine can be replaced through
// set_default_engine_stub, as Python's own engine does; ours hands out a hook per saved tensor. The
// hook shares the tensor's storage, so observing copies nothing, and backward may follow. LibTorch
// does not check a hooked tensor for in-place writes, so the hooks here make that check themselves.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>

#include "analyzer/observation/allocations.h"
#include "analyzer/trace.h"

namespace invact {

class SavedTensorRecorder {
 public:
  /// Starts to record every thread's saves; one recorder at a time per process.
  /// @throws Error(kInternal) where another one is active.
  explicit SavedTensorRecorder(const torch::jit::Module& top);
  ~SavedTensorRecorder();
  SavedTensorRecorder(const SavedTensorRecorder&) = delete;
  SavedTensorRecorder& operator=(const SavedTensorRecorder&) = delete;

  /// Writes storages, calls and the tensors that autograd holds *now* into `trace`: call it while
  /// the outputs live. `allocations`, of the same forward, learns which blocks hold them.
  void write_held(Trace& trace, AllocationRecorder* allocations = nullptr) const;

  class State;

 private:
  std::shared_ptr<State> state_;
  uint64_t callback_handle_ = 0;
};

}  // namespace invact
