// Reads what the user names as an input with @FILE: a tensor, or a nested value, that torch.save or
// torch::pickle_save wrote; or an array of numpy.save.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>

namespace invact {

/// The value in `path`, told apart by its first bytes; tensors on the CPU, without gradients.
/// @throws Error(kUsage) where the file is missing, damaged or of another kind.
c10::IValue read_value_file(const std::string& path);

}  // namespace invact
