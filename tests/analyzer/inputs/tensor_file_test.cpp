#include "analyzer/inputs/tensor_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/errors.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

std::vector<char> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

/// The bytes that numpy.save writes: magic, version, length, header padded to 64, data.
std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                bool fortran = false, int version = 1) {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr,
                                   fortran ? "True" : "False", shape);
  const size_t length_bytes = version == 1 ? 2 : 4;
  while ((8 + length_bytes + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  for (size_t i = 0; i < length_bytes; ++i) text += static_cast<char>(header.size() >> (8 * i));
  return text + header + data;
}

template <typename Number>
std::string raw(const std::vector<Number>& numbers) {
  std::string data(numbers.size() * sizeof(Number), '\0');
  std::memcpy(data.data(), numbers.data(), data.size());
  return data;
}

at::Tensor read(const std::string& text) {
  return read_npy(bytes_of(text), "a.npy");
}

std::string usage_error(const std::string& text) {
  return error_of(ErrorKind::kUsage, [&] { read(text); });
}

const at::Tensor kMatrix = at::tensor({1, 2, 3, 4, 5, 6}, at::kShort).reshape({2, 3});

TEST(NpyFileTest, EveryVersion) {
  for (const int version : {1, 2, 3}) {
    const std::string text = npy("<i2", "(2, 3)", raw<int16_t>({1, 2, 3, 4, 5, 6}), false, version);
    EXPECT_TRUE(read(text).equal(kMatrix)) << version;
  }
}

TEST(NpyFileTest, FortranOrder) {
  const at::Tensor found = read(npy("<i2", "(2, 3)", raw<int16_t>({1, 4, 2, 5, 3, 6}), true));
  EXPECT_TRUE(found.equal(kMatrix));
  EXPECT_TRUE(found.is_contiguous());
}

TEST(NpyFileTest, BigEndian) {
  const std::string data("\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06", 12);
  EXPECT_TRUE(read(npy(">i2", "(2, 3)", data)).equal(kMatrix));
  // 1 + 2i as two big-endian float32.
  const std::string number("\x3f\x80\x00\x00\x40\x00\x00\x00", 8);
  EXPECT_EQ(read(npy(">c8", "()", number)).item<c10::complex<float>>(), c10::complex<float>(1, 2));
}

TEST(NpyFileTest, EveryDtype) {
  const std::pair<const char*, at::ScalarType> dtypes[] = {
      {"|b1", at::kBool},         {"|u1", at::kByte},          {"|i1", at::kChar},
      {"<i2", at::kShort},        {"<i4", at::kInt},           {"<i8", at::kLong},
      {"<f2", at::kHalf},         {"<f4", at::kFloat},         {"<f8", at::kDouble},
      {"<u2", at::kUInt16},       {"<u4", at::kUInt32},        {"<u8", at::kUInt64},
      {"<c8", at::kComplexFloat}, {"<c16", at::kComplexDouble}};
  for (const auto& [descr, dtype] : dtypes) {
    const std::string zeros(3 * at::elementSize(dtype), '\0');
    const at::Tensor found = read(npy(descr, "(3,)", zeros));
    EXPECT_EQ(found.scalar_type(), dtype) << descr;
    EXPECT_EQ(found.sizes(), (std::vector<int64_t>{3})) << descr;
  }
}

TEST(NpyFileTest, NoDimensionsAndNoElements) {
  EXPECT_EQ(read(npy("<f4", "()", raw<float>({2.5F}))).item<float>(), 2.5F);
  EXPECT_EQ(read(npy("<f4", "(0, 4)", "")).sizes(), (std::vector<int64_t>{0, 4}));
}

TEST(NpyFileTest, EveryTruncationIsSaid) {
  const std::string whole = npy("<i2", "(2, 3)", raw<int16_t>({1, 2, 3, 4, 5, 6}));
  for (size_t bytes = 6; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(usage_error(whole.substr(0, bytes)), HasSubstr("is truncated")) << bytes;
  }
}

TEST(NpyFileTest, HeadersThatClaimTooMuchAskForNoMemory) {
  EXPECT_THAT(usage_error(npy("<f4", "(1099511627776, 1099511627776)", "")),
              HasSubstr("claims more elements"));
  EXPECT_THAT(usage_error(npy("<f4", "(99999999999999999999,)", "")),
              HasSubstr("impossible shape"));
}

TEST(NpyFileTest, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(usage_error(npy("<U5", "(2,)", "")), HasSubstr("has the dtype '<U5'"));
  EXPECT_THAT(usage_error(npy("|O", "(2,)", "")), HasSubstr("has the dtype '|O'"));
  EXPECT_THAT(usage_error(npy("<i2", "(2,)", raw<int16_t>({1, 2}), false, 4)),
              HasSubstr("version 4"));
  std::string structured = npy("<i2", "(2,)", "");
  structured.replace(structured.find("'<i2'"), 5, "[1,2]");
  EXPECT_THAT(usage_error(structured), HasSubstr("structured arrays"));
}

}  // namespace
}  // namespace invact::testing
