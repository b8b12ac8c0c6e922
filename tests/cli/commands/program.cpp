#include "tests/cli/commands/program.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/support/models.h"

namespace invact::testing {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Outcome run_invact(const std::string& arguments, const std::string& environment) {
  const std::string out = temporary_path("stdout"), err = temporary_path("stderr");
  const int status = std::system(fmt::format("{} {} {} > {} 2> {} < /dev/null", environment,
                                             INVACT_PROGRAM, arguments, out, err)
                                     .c_str());
  return {WEXITSTATUS(status), read_file(out), read_file(err)};
}

}  // namespace invact::testing
