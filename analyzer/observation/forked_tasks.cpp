#include "analyzer/observation/forked_tasks.h"

#include <torch/csrc/jit/runtime/interpreter.h>

namespace invact {
namespace {

/// Entries of the interpreters that wait for a forked task to end, innermost first.
thread_local std::vector<torch::jit::StackEntry> forking;

class ForkingScope {
 public:
  ForkingScope() : outer_(forking) { forking = callstack_through_forks(); }
  ~ForkingScope() { forking = std::move(outer_); }
  ForkingScope(const ForkingScope&) = delete;
  ForkingScope& operator=(const ForkingScope&) = delete;

 private:
  std::vector<torch::jit::StackEntry> outer_;
};

}  // namespace

torch::jit::TaskLauncher run_forks_at_once() {
  return [](const std::function<void()>& task) {
    const ForkingScope scope;
    task();
  };
}

std::vector<torch::jit::StackEntry> callstack_through_forks() {
  auto callstack = torch::jit::currentCallstack();
  callstack.insert(callstack.end(), forking.begin(), forking.end());
  return callstack;
}

}  // namespace invact
