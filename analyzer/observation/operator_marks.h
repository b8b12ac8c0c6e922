// Says, while a model takes a training step, for which operator call of its code each thread works:
// in forward by the operator that runs, in backward by the autograd node that this operator made.
// Knows no device; the listener in device_step.cpp does.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <vector>

#include "analyzer/device_activity.h"
#include "analyzer/trace.h"

namespace invact {

/// Is called at every beginning and end, on the thread where it happens; they nest per thread.
class OperatorMarkListener {
 public:
  virtual ~OperatorMarkListener() = default;
  virtual void begin(ExternalId id) = 0;
  virtual void end() = 0;
};

/// Listens while it lives. One at a time per process; runs beside no SavedTensorRecorder.
class OperatorMarks {
 public:
  /// @throws Error(kInternal) where another one lives.
  OperatorMarks(const torch::jit::Module& top, OperatorMarkListener& listener);
  ~OperatorMarks();
  OperatorMarks(const OperatorMarks&) = delete;
  OperatorMarks& operator=(const OperatorMarks&) = delete;

  /// Every operator call of the model's code so far, index = id. Only the outermost ones:
  /// `aten::linear`, not `aten::addmm`.
  std::vector<OperatorCall> calls() const;

  class State;

 private:
  std::shared_ptr<State> state_;
  uint64_t callback_handle_ = 0;
};

}  // namespace invact
