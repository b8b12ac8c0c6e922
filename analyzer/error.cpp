#include "analyzer/error.h"

namespace invact {

void throw_usage_error(const std::string& message) {
  throw Error(ErrorKind::kUsage, message);
}
void throw_model_error(const std::string& message) {
  throw Error(ErrorKind::kModel, message);
}
void throw_environment_error(const std::string& message) {
  throw Error(ErrorKind::kEnvironment, message);
}
void throw_internal_error(const std::string& message) {
  throw Error(ErrorKind::kInternal, message);
}

std::string first_sentence(const std::string& message) {
  size_t begin = message.find_first_not_of(" \n\t");
  if (begin == std::string::npos) return "(no message)";
  std::string line = message.substr(begin, message.find('\n', begin) - begin);
  while (!line.empty() && (line.back() == ' ' || line.back() == ':')) line.pop_back();
  return line;
}

}  // namespace invact
