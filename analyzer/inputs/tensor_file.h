// Reads what the user names as an input with @FILE: a tensor, or a nested value, that torch.save or
// torch::pickle_save wrote; or an array of numpy.save, in versions 1 to 3 of its format.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

namespace invact {

/// The value in `path`, whose first bytes say what kind of file it is; tensors on the CPU, without
/// gradients.
/// @throws Error(kUsage) where the file is missing, damaged or of another kind.
c10::IValue read_value_file(const std::string& path);

/// Whether a file begins as an array of numpy.save does.
bool is_npy(const std::vector<char>& bytes);

/// The array as a contiguous tensor: C or Fortran order, little or big endian. `path` is for
/// messages. @throws Error(kUsage) where it is truncated, damaged, or of a dtype that PyTorch
/// lacks.
at::Tensor read_npy(const std::vector<char>& bytes, const std::string& path);

}  // namespace invact
