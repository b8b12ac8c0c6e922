// Finds the user's own source line behind a TorchScript call stack, and names places in serialized
// code.
#pragma once

#include <torch/csrc/jit/frontend/source_range.h>

#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// The innermost Python line of `callstack` (innermost entry first) that lies outside the torch
/// package; if all lie in it, the innermost one; line 0 if the archive carries no debug records.
/// Traced code notes a whole Python stack in each node, scripted code one position per call.
SourceLocation user_source(const std::vector<torch::jit::StackEntry>& callstack);

/// Where `range` stands in the serialized code.
CodeRange code_range(const torch::jit::SourceRange& range);

}  // namespace invact
