#include "analyzer/inputs/input_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/error.h"
#include "tests/support/errors.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

TensorSpec parse_tensor(const std::string& text) {
  return parse_tensor_spec(parse_input_spec(text));
}

std::string usage_error(const std::string& text) {
  return error_of(ErrorKind::kUsage, [&] { parse_tensor(text); });
}

TEST(InputSpecTest, ShapeAloneIsNormalFloat32ByPosition) {
  EXPECT_EQ(parse_input_spec("4x3x224x224").name, "");
  const TensorSpec spec = parse_tensor("4x3x224x224");
  EXPECT_EQ(spec.shape, (std::vector<int64_t>{4, 3, 224, 224}));
  EXPECT_EQ(spec.dtype, "float32");
  EXPECT_EQ(spec.fill, InputFill::kNormal);
}

TEST(InputSpecTest, NameDtypeAndRange) {
  EXPECT_EQ(parse_input_spec("tokens=8x128:i64:0..30522").name, "tokens");
  const TensorSpec spec = parse_tensor("tokens=8x128:i64:0..30522");
  EXPECT_EQ(spec.dtype, "int64");
  EXPECT_EQ(spec.fill, InputFill::kUniform);
  EXPECT_EQ(spec.low, 0);
  EXPECT_EQ(spec.high, 30522);
  EXPECT_EQ(fill_text(spec), "0..30522");
}

TEST(InputSpecTest, ElementsOfANestedInput) {
  const InputSpec spec = parse_input_spec("state.0.key=2x3");
  EXPECT_EQ(spec.name, "state");
  EXPECT_EQ(spec.elements, (std::vector<std::string>{"0", "key"}));
  EXPECT_EQ(spec.value, "2x3");
  EXPECT_EQ(input_name(spec), "state.0.key");
}

TEST(InputSpecTest, WhatFollowsTheFirstEqualsSignIsTheValue) {
  EXPECT_EQ(parse_input_spec("mode=a=b").value, "a=b");
  EXPECT_EQ(parse_tensor("x=@a=b.npy").file, "a=b.npy");
  EXPECT_EQ(parse_input_spec("@a=b.npy").name, "");
  EXPECT_EQ(parse_tensor("@a=b.npy").file, "a=b.npy");
}

TEST(InputSpecTest, IntegersDefaultToZeroOrOne) {
  EXPECT_EQ(fill_text(parse_tensor("mask=2x4:bool")), "0..2");
}

TEST(InputSpecTest, MasksOfOnesAndCausalOnes) {
  EXPECT_EQ(parse_tensor("mask=8x128:bool:ones").fill, InputFill::kOnes);
  EXPECT_EQ(fill_text(parse_tensor("mask=4x4:bool:tril")), "tril");
}

TEST(InputSpecTest, ScalarEmptyAndFile) {
  EXPECT_TRUE(parse_tensor("t=scalar:f32").shape.empty());
  EXPECT_EQ(parse_tensor("0x4").shape, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(parse_tensor("@x.pt").fill, InputFill::kFile);
}

TEST(InputSpecTest, NegativeRange) {
  const TensorSpec spec = parse_tensor("3:f64:-1.5..2e1");
  EXPECT_EQ(spec.low, -1.5);
  EXPECT_EQ(spec.high, 20);
}

TEST(InputSpecTest, RangesMayFillTheirDtype) {
  EXPECT_EQ(parse_tensor("4:u8:0..256").high, 256);
  EXPECT_EQ(parse_tensor("4:i8:-128..128").low, -128);
  EXPECT_EQ(parse_tensor("4:bool:0..2").high, 2);
}

TEST(InputSpecTest, EveryFaultIsNamedWithTheAcceptedForms) {
  const std::pair<const char*, const char*> faults[] = {
      {"", "is no shape"},
      {"x=", "is no shape"},
      {"4x", "is no shape"},
      {"4,3", "is no shape"},
      {"-1x3", "is no shape"},
      {"4x3:f31", "unknown dtype 'f31'"},
      {"4x3:", "unknown dtype ''"},
      {"4:f32:gauss", "unknown fill 'gauss'"},
      {"4:i64:5..5", "is empty"},
      {"4:i64:a..b", "no range"},
      {"4:f32:0..inf", "no range"},
      {"4:f32:nan..1", "no range"},
      {"4:i64:0.5..2", "no range of whole numbers"},
      {"4:u8:0..257", "does not fit uint8"},
      {"4:u8:-1..5", "does not fit uint8"},
      {"4:bool:0..3", "does not fit bool"},
      {"4:i64:0..1e300", "does not fit int64"},
      {"4:f16:0..70000", "does not fit float16"},
      {"4:i64:randn", "randn needs a floating dtype"},
      {"4:bool:tril", "two dimensions"},
      {"4:f32:ones:more", "unknown fill"},
      {"=4", "nothing stands before '='"},
      {"x.=4", "empty part"},
      {".0=4", "empty part"},
      {"x=@", "no file name"},
      {"4294967296x4294967296", "more elements"},
  };
  for (const auto& [text, message] : faults) {
    EXPECT_THAT(usage_error(text), HasSubstr(message)) << text;
    EXPECT_THAT(usage_error(text), HasSubstr("Accepted: ")) << text;
    EXPECT_THAT(usage_error(text), HasSubstr(std::string("--input '") + text + "'")) << text;
  }
}

}  // namespace
}  // namespace invact::testing
