// Runs a model's forked tasks (torch.jit.fork) where they can be observed: at once, on the thread
// that forks them.
#pragma once

#include <ATen/core/function.h>
#include <torch/csrc/jit/frontend/source_range.h>

#include <vector>

namespace invact {

/// A launcher for torch::jit::Method::run_async that runs each task to its end inside the fork. The
/// order of random numbers, the executor's thread-local settings and the call stack are then those
/// of one thread. What autograd keeps does not depend on the thread.
torch::jit::TaskLauncher run_forks_at_once();

/// torch::jit::currentCallstack() continued outwards past every fork that run_forks_at_once() is
/// running: innermost entry first.
std::vector<torch::jit::StackEntry> callstack_through_forks();

}  // namespace invact
