#include "analyzer/input_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"

namespace invact {
namespace {

using ::testing::HasSubstr;

std::string usage_error(const std::string& text) {
  try {
    parse_input_spec(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(InputSpecTest, ShapeAloneIsNormalFloat32ByPosition) {
  const InputSpec spec = parse_input_spec("4x3x224x224");
  EXPECT_EQ(spec.name, "");
  EXPECT_EQ(spec.shape, (std::vector<int64_t>{4, 3, 224, 224}));
  EXPECT_EQ(spec.dtype, "float32");
  EXPECT_EQ(spec.fill, InputFill::kNormal);
}

TEST(InputSpecTest, NameDtypeAndRange) {
  const InputSpec spec = parse_input_spec("tokens=8x128:i64:0..30522");
  EXPECT_EQ(spec.name, "tokens");
  EXPECT_EQ(spec.dtype, "int64");
  EXPECT_EQ(spec.fill, InputFill::kUniform);
  EXPECT_EQ(spec.low, 0);
  EXPECT_EQ(spec.high, 30522);
  EXPECT_EQ(fill_text(spec), "0..30522");
}

TEST(InputSpecTest, IntegersDefaultToZeroOrOne) {
  EXPECT_EQ(fill_text(parse_input_spec("mask=2x4:bool")), "0..2");
}

TEST(InputSpecTest, ScalarEmptyAndFile) {
  EXPECT_TRUE(parse_input_spec("t=scalar:f32").shape.empty());
  EXPECT_EQ(parse_input_spec("0x4").shape, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(parse_input_spec("x=@a=b.npy").file, "a=b.npy");
  EXPECT_EQ(parse_input_spec("@x.pt").fill, InputFill::kFile);
}

TEST(InputSpecTest, NegativeRange) {
  const InputSpec spec = parse_input_spec("3:f64:-1.5..2e1");
  EXPECT_EQ(spec.low, -1.5);
  EXPECT_EQ(spec.high, 20);
}

TEST(InputSpecTest, EveryFaultIsNamedWithTheAcceptedForms) {
  const std::pair<const char*, const char*> faults[] = {
      {"", "is no shape"},
      {"4x", "is no shape"},
      {"4,3", "is no shape"},
      {"-1x3", "is no shape"},
      {"4x3:f31", "unknown dtype 'f31'"},
      {"4:f32:gauss", "unknown fill 'gauss'"},
      {"4:i64:5..5", "is empty"},
      {"4:i64:a..b", "no range"},
      {"4:i64:randn", "randn needs a floating dtype"},
      {"4:f32:ones:more", "unknown fill"},
      {"=4", "nothing stands before '='"},
      {"x=@", "no file name"},
      {"4294967296x4294967296", "more elements"},
  };
  for (const auto& [text, message] : faults) {
    EXPECT_THAT(usage_error(text), HasSubstr(message)) << text;
    EXPECT_THAT(usage_error(text), HasSubstr("Accepted: ")) << text;
  }
}

}  // namespace
}  // namespace invact
