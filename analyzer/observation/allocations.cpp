#include "analyzer/observation/allocations.h"

#include <c10/core/Allocator.h>

#include <chrono>
#include <mutex>
#include <unordered_map>

namespace invact {
namespace {

/// The outermost operator or autograd node that this thread is running; its RecordFunction owns the
/// name.
thread_local const char* running = nullptr;
thread_local int64_t depth = 0;

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  if (depth++ == 0) running = function.name();
  return nullptr;
}

void on_end(const at::RecordFunction&, at::ObserverContext*) {
  if (depth > 0 && --depth == 0) running = nullptr;
}

}  // namespace

class AllocationRecorder::State : public c10::MemoryReportingInfoBase {
 public:
  explicit State(c10::Device device) : device_(device) {
    memory_.backend = device.is_cuda() ? "c10 CUDA caching allocator" : "c10 CPU allocator";
  }

  void reportMemoryUsage(void* address, int64_t bytes, size_t /*total_allocated*/,
                         size_t /*total_reserved*/, c10::Device device) override {
    if (device.type() != device_.type()) return;
    const std::lock_guard lock(mutex_);
    if (bytes > 0) {
      allocate(address, bytes);
    } else {
      release(address);
    }
  }

  bool memoryProfilingEnabled() const override { return true; }

  void end_forward() {
    const std::lock_guard lock(mutex_);
    memory_.forward_end_event = memory_.event_count;
    memory_.forward_end_ns = elapsed_ns();
  }

  void mark_saved(const void* address, StorageId id) {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(address);
    if (found != live_.end()) memory_.allocations[found->second].storage = id;
  }

  StepMemory finish(const std::vector<const void*>& gradients) const {
    const std::lock_guard lock(mutex_);
    StepMemory memory = memory_;
    memory.end_ns = elapsed_ns();
    for (const void* address : gradients) {
      if (const auto found = live_.find(address); found != live_.end()) {
        memory.allocations[found->second].is_gradient = true;
      }
    }
    return memory;
  }

 private:
  int64_t elapsed_ns() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                                begin_)
        .count();
  }

  /// Autograd calls a node "autograd::engine::evaluate_function: MulBackward0".
  static std::string operator_name(std::string_view name) {
    constexpr std::string_view kNode = "evaluate_function: ";
    const size_t node = name.find(kNode);
    return std::string(node == std::string_view::npos ? name : name.substr(node + kNode.size()));
  }

  int64_t running_operator() {
    if (!running) return -1;
    const auto [found, fresh] =
        operator_index_.try_emplace(running, static_cast<int64_t>(memory_.operators.size()));
    if (fresh) memory_.operators.push_back(operator_name(running));
    return found->second;
  }

  void allocate(const void* address, int64_t bytes) {
    Allocation allocation;
    allocation.bytes = bytes;
    allocation.op = running_operator();
    allocation.allocated_event = memory_.event_count++;
    allocation.allocated_ns = elapsed_ns();
    live_[address] = static_cast<int64_t>(memory_.allocations.size());
    memory_.allocations.push_back(allocation);
  }

  /// What was allocated before the recording is not known and frees nothing of the step's.
  void release(const void* address) {
    const auto found = live_.find(address);
    if (found == live_.end()) return;
    Allocation& allocation = memory_.allocations[found->second];
    allocation.freed_event = memory_.event_count++;
    allocation.freed_ns = elapsed_ns();
    live_.erase(found);
  }

  const c10::Device device_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  StepMemory memory_;
  std::unordered_map<const void*, int64_t> live_;
  std::unordered_map<std::string, int64_t> operator_index_;
};

AllocationRecorder::AllocationRecorder(c10::Device device)
    : state_(std::make_shared<State>(device)),
      guard_(c10::DebugInfoKind::PROFILER_STATE, state_),
      callback_handle_(at::addGlobalCallback(
          at::RecordFunctionCallback(&on_begin, &on_end)
              .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}))) {
  running = nullptr;  // Of an earlier recorder, destroyed while an operator ran.
  depth = 0;
}

AllocationRecorder::~AllocationRecorder() {
  at::removeCallback(callback_handle_);
}

void AllocationRecorder::end_forward() {
  state_->end_forward();
}

void AllocationRecorder::mark_saved(const void* address, StorageId id) {
  state_->mark_saved(address, id);
}

StepMemory AllocationRecorder::finish(const std::vector<const void*>& gradients) const {
  return state_->finish(gradients);
}

}  // namespace invact
