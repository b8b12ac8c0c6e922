// Records what an allocator hands out and takes back while a step runs. LibTorch's allocators
// report to the object in the profiler's thread-local slot (c10::MemoryReportingInfoBase), which
// the threads of backward inherit.
#pragma once

#include <ATen/record_function.h>
#include <c10/core/Device.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

class AllocationRecorder {
 public:
  /// Records this thread and those it hands its state to, on one device, until destroyed. One
  /// recorder per process; it takes the place of torch's own memory profiler.
  explicit AllocationRecorder(c10::Device device);
  ~AllocationRecorder();
  AllocationRecorder(const AllocationRecorder&) = delete;
  AllocationRecorder& operator=(const AllocationRecorder&) = delete;

  /// What comes next counts as backward.
  void end_forward();

  /// Says that the live block at `address` holds the storage `id`, which autograd saves. Does
  /// nothing where the block was made before the recording.
  void mark_saved(const void* address, StorageId id);

  /// Everything reported so far. `gradients`: addresses of the parameters' gradients.
  StepMemory finish(const std::vector<const void*>& gradients) const;

  class State;

 private:
  std::shared_ptr<State> state_;
  c10::DebugInfoGuard guard_;
  uint64_t callback_handle_ = 0;
};

}  // namespace invact
