// The error that ends a command, and its kinds. Expected outcomes (a site that cannot be rewritten,
// a gate that failed) are values, never errors. The analyzer, the rewriter and the command line use
// it.
#pragma once

#include <stdexcept>
#include <string>

namespace invact {

enum class ErrorKind {
  kUsage,        ///< What the user asked for: flags, inputs, files to write (exit code 2).
  kModel,        ///< The model: cannot be read, lacks an operator, throws when run (exit code 3).
  kEnvironment,  ///< The machine: no device, out of memory, a file that cannot be written (exit
                 ///< code 5).
  kInternal,     ///< A fault of invact itself (exit code 70).
};

/// What ends a command. The message says what, where, and what to do next.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

[[noreturn]] void throw_usage_error(const std::string& message);
[[noreturn]] void throw_model_error(const std::string& message);
[[noreturn]] void throw_environment_error(const std::string& message);
[[noreturn]] void throw_internal_error(const std::string& message);

/// The first line of a LibTorch message, without the C++ stack and the internal source position
/// that follow it.
std::string first_sentence(const std::string& message);

}  // namespace invact
