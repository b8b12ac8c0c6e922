// SHA-256 of a file, so that a report names the exact model that it speaks of.
#pragma once

#include <string>

namespace invact {

/// Lower-case hex digest of the file's bytes. @throws Error(kModel) where the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace invact
