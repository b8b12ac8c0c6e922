// Values as text: amounts of bytes, and paths of source files.
#include "cli/text/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"
#include "cli/text/source_path.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

TEST(SizeTest, UnitsOfTwoAndOfTen) {
  const std::pair<const char*, int64_t> cases[] = {
      {"0", 0},
      {"4096", 4096},
      {"4096B", 4096},
      {"64MiB", int64_t{64} << 20},
      {"64MB", 64'000'000},
      {"1.5GiB", int64_t{3} << 29},
      {"0.5kB", 500},
      {"2 KiB", 2048},
      {"1tib", int64_t{1} << 40},
      {"3TB", 3'000'000'000'000},
      {"1000000000000000001", 1'000'000'000'000'000'001},
  };
  for (const auto& [text, bytes] : cases) {
    EXPECT_EQ(parse_size("--max-saved", text), (Size{bytes, text})) << text;
  }
}

TEST(SizeTest, WhatIsNoSizeIsRefusedWithTheForms) {
  for (const char* text : {"", "MiB", "64M", "64MiBs", "-1", "+1", "1e9", "inf", "nan", "0x10",
                           "1.2.3", ".", "5%", "64,5MiB", "99999999TiB"}) {
    try {
      parse_size("--max-saved", text);
      ADD_FAILURE() << "'" << text << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("--max-saved '" + std::string(text) + "'"));
      EXPECT_THAT(error.what(), HasSubstr("64MiB (2^20 each)"));
    }
  }
}

TEST(SizeTest, GrowthIsAPartOfWhatWasOrBytes) {
  const GrowthLimit part = parse_growth_limit("--max-growth", "5%");
  EXPECT_TRUE(part.relative);
  EXPECT_EQ(part.allowed_bytes(1000), 50);
  EXPECT_EQ(part.allowed_bytes(1019), 50);  // rounded down
  EXPECT_EQ(part.allowed_bytes(0), 0);
  EXPECT_EQ(parse_growth_limit("--max-growth", "0.5%").allowed_bytes(1000), 5);
  EXPECT_EQ(parse_growth_limit("--max-growth", "0%").allowed_bytes(1000), 0);
  const GrowthLimit bytes = parse_growth_limit("--max-growth", "1KiB");
  EXPECT_FALSE(bytes.relative);
  EXPECT_EQ(bytes.allowed_bytes(0), 1024);
}

TEST(SizeTest, WhatIsNoGrowthIsRefused) {
  for (const char* text : {"", "%", "-5%", "5%%", "five%", "5 percent", "1e3%", "9999999999%"}) {
    EXPECT_THROW(parse_growth_limit("--max-growth", text), Error) << text;
  }
}

TEST(SourcePathTest, WhatIsTheSameOnEveryMachine) {
  using Base = StablePath::Base;
  EXPECT_EQ(stable_path("/env/lib/python3.11/site-packages/timm/layers/mlp.py"),
            (StablePath{"timm/layers/mlp.py", Base::kPythonPackages}));
  EXPECT_EQ(stable_path("/usr/lib/python3/dist-packages/net.py"),
            (StablePath{"net.py", Base::kPythonPackages}));
  EXPECT_EQ(stable_path("/home/me/net.py"), (StablePath{"/home/me/net.py", Base::kNone}));
  EXPECT_EQ(stable_path("./src/net.py"), (StablePath{"src/net.py", Base::kRepository}));
}

}  // namespace
}  // namespace invact::testing
