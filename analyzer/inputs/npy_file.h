// Reads numpy's .npy format, versions 1 to 3.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace invact {

/// Whether a file begins as an array of numpy.save does.
bool is_npy(const std::vector<char>& bytes);

/// The array as a contiguous tensor: C or Fortran order, little or big endian. `path` is for
/// messages. @throws Error(kUsage) where it is truncated, damaged, or of a dtype that PyTorch
/// lacks.
at::Tensor read_npy(const std::vector<char>& bytes, const std::string& path);

}  // namespace invact
