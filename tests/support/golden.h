// Golden files of tests/golden; INVACT_UPDATE_GOLDENS=1 rewrites them. The including test defines
// INVACT_GOLDEN_FOLDER.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace invact::testing {

inline std::string read_golden(const std::string& name) {
  std::ifstream file(std::string(INVACT_GOLDEN_FOLDER) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void expect_golden(const std::string& text, const std::string& name) {
  if (std::getenv("INVACT_UPDATE_GOLDENS")) {
    std::ofstream(std::string(INVACT_GOLDEN_FOLDER) + "/" + name, std::ios::binary) << text;
  }
  EXPECT_EQ(text, read_golden(name)) << "golden file " << name;
}

}  // namespace invact::testing
