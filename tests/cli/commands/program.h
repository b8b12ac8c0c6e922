// Runs the built program as a user does.
#pragma once

#include <string>

namespace invact::testing {

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

std::string read_file(const std::string& path);

/// `environment`: assignments before the command, as in a shell.
Outcome run_invact(const std::string& arguments, const std::string& environment = "");

}  // namespace invact::testing
