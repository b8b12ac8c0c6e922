// The original code of a method in which a pattern of several nodes was replaced: kept in the class
// as a method beside it, since what takes a pattern's place does not tell how it was written (ADR
// 4). Files carry it like any code; nothing runs it.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <string>

namespace invact {

/// Keeps the code that `method` of the module's class has now, unless an earlier one is kept. The
/// method is about to be edited.
void keep_original_code(const torch::jit::Module& module, const std::string& method);

/// Gives every method of the module's class the code that was kept of it. @returns how many.
int64_t restore_original_code(const torch::jit::Module& module);

/// Whether some module at or below `top` has kept code.
bool has_original_code(const torch::jit::Module& top);

}  // namespace invact
