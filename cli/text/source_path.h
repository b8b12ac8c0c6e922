// Paths of the user's source files in reports: the part of them that is the same on every machine.
// Pure.
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

/// "net/model.py:6": a path as short as it can be without being mistaken, from the package on;
/// empty where the source is unknown.
std::string short_source(const SourceLocation& source);

}  // namespace invact
