// Paths of the user's source files in reports: what of them is the same on every machine. Pure.
#pragma once

#include <string>

#include "analyzer/trace.h"

namespace invact {

/// Drops `prefix` and the slashes behind it where the path begins with it.
void strip_prefix(const std::string& prefix, SourceLocation& source);

/// A path and what it is relative to.
struct StablePath {
  enum class Base {
    kNone,            ///< Absolute: this machine's own.
    kRepository,      ///< Relative, as --strip-prefix or the caller made it.
    kPythonPackages,  ///< Below site-packages or dist-packages.
  };
  std::string path;
  Base base = Base::kNone;
  bool operator==(const StablePath&) const = default;
};

StablePath stable_path(const std::string& file);

}  // namespace invact
