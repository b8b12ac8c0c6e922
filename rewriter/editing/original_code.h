// The original code of a method whose edited code does not show how it was written: it is stored in
// the class as a method beside the edited one (ADR 4). Files carry it like any code; nothing runs
// it.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <string>

namespace invact {

/// Stores the code that `method` of the module's class has now, unless an earlier one is stored.
/// Call it before the method is edited.
void keep_original_code(const torch::jit::Module& module, const std::string& method);

/// Gives every method of the module's class its stored code back. @returns how many had one.
int64_t restore_original_code(const torch::jit::Module& module);

/// Whether some module at or below `top` has stored code.
bool has_original_code(const torch::jit::Module& top);

}  // namespace invact
