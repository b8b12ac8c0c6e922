// The link-time door of the operator library. A program that only looks operators up by name
// (torch::jit::load of a rewritten model) refers to no symbol of the library, and a linker may then
// drop it: calling this keeps it. Loading the library with dlopen or torch.ops.load_library needs
// no call.
#pragma once

#include "export.h"

namespace invact::kernels {

/// Returns once the `invact` operators are registered. @throws c10::Error if the process runs
/// another LibTorch release than the library was built for, whose C++ interfaces may differ.
INVACT_EXPORT void ensure_registered();

}  // namespace invact::kernels
