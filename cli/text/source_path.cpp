#include "cli/text/source_path.h"

#include <fmt/format.h>

#include <string_view>

namespace invact {

void strip_prefix(const std::string& prefix, SourceLocation& source) {
  if (prefix.empty() || !source.file.starts_with(prefix)) return;
  source.file.erase(0, prefix.size());
  while (source.file.starts_with('/')) source.file.erase(0, 1);
}

StablePath stable_path(const std::string& file) {
  for (const std::string_view folder : {"site-packages/", "dist-packages/"}) {
    if (const size_t found = file.rfind(folder); found != std::string::npos) {
      return {file.substr(found + folder.size()), StablePath::Base::kPythonPackages};
    }
  }
  if (file.starts_with('/')) return {file, StablePath::Base::kNone};
  return {file.starts_with("./") ? file.substr(2) : file, StablePath::Base::kRepository};
}

std::string short_source(const SourceLocation& source) {
  if (source.line == 0) return "";
  return fmt::format("{}:{}", stable_path(source.file).path, source.line);
}

}  // namespace invact
