// Reads one tensor from a file that the user names as an input: .pt (torch.save) or .npy
// (numpy.save).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace invact {

/// The tensor in `path`, on the CPU. .npy: little-endian, C order, versions 1 to 3.
/// @throws Error(kUsage) where the file is missing, damaged, of another kind, or holds something
/// else than one tensor.
at::Tensor read_tensor_file(const std::string& path);

}  // namespace invact
