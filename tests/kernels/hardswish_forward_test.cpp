// Hardswish's own forward loops against ATen's operator, bit for bit: every 16-bit code, float32
// and float64 of every exponent and beside the kinks; and the operator, which hands NaN to ATen.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/loops.h"
#include "kernels/math/functions.h"
#include "kernels/ops.h"
#include "tests/kernels/op_cases.h"

namespace invact::testing {
namespace {

using kernels::Storage;
using kernels::math::Hardswish;
namespace cpu = kernels::cpu;

struct NamedLoop {
  const char* name;
  cpu::ForwardLoop<Hardswish> loop;
};

std::vector<NamedLoop> runnable_loops() {
  std::vector<NamedLoop> loops = {{"baseline", &cpu::baseline::forward<Hardswish>}};
  if (cpu::has_avx2()) loops.push_back({"avx2", &cpu::avx2::forward<Hardswish>});
  if (cpu::has_avx512()) loops.push_back({"avx512", &cpu::avx512::forward<Hardswish>});
  return loops;
}

/// Neighbours of the kinks and the branch point in float32, bit patterns of the whole range, and
/// special values.
at::Tensor interesting_inputs(at::ScalarType dtype) {
  if (at::isReducedFloatingType(dtype)) {
    return at::arange(-32768, 32768, at::kInt).to(at::kShort).view(dtype);
  }
  if (dtype == at::kDouble) {
    constexpr int64_t kStride = 0x0000123456789abd;
    const at::Tensor patterns = at::arange(0, 1 << 20, at::kLong).mul(kStride << 8);
    return at::cat({patterns.view(at::kDouble), interesting_inputs(at::kFloat).to(at::kDouble)});
  }
  std::vector<at::Tensor> parts = {at::arange(0, 1 << 20, at::kLong).mul(4099).to(at::kInt)};
  for (const float centre : {-3.0f, -1.5f, 3.0f, -0.0f, 0.0f, 6.0f}) {
    const int32_t bits = __builtin_bit_cast(int32_t, centre);
    parts.push_back(at::arange(-2048, 2048, at::kInt).add(bits));
  }
  return at::cat(parts).view(at::kFloat);
}

constexpr at::ScalarType kFloatingDtypes[] = {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf};

Storage storage_of_dtype(at::ScalarType dtype) {
  if (dtype == at::kDouble) return Storage::kFloat64;
  if (dtype == at::kFloat) return Storage::kFloat32;
  return dtype == at::kBFloat16 ? Storage::kBFloat16 : Storage::kFloat16;
}

class HardswishForwardTest : public ::testing::TestWithParam<at::ScalarType> {};

INSTANTIATE_TEST_SUITE_P(All, HardswishForwardTest, ::testing::ValuesIn(kFloatingDtypes),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

TEST_P(HardswishForwardTest, LoopsGiveAtensBitsAndTheBranch) {
  const at::Tensor all = interesting_inputs(GetParam());
  const at::Tensor x = all.masked_select(at::hardswish(all).isnan().logical_not());
  const at::Tensor expected = at::hardswish(x);
  const at::Tensor left = x < -1.5;
  const bool* const is_left = left.const_data_ptr<bool>();
  for (const NamedLoop& named : runnable_loops()) {
    SCOPED_TRACE(named.name);
    at::Tensor y = at::empty_like(x);
    std::vector<uint8_t> bits(static_cast<size_t>((x.numel() + 7) / 8), 0xab);
    EXPECT_TRUE(named.loop(Hardswish{}, storage_of_dtype(GetParam()),
                           {x.const_data_ptr(), y.mutable_data_ptr(), bits.data(), x.numel()}));
    EXPECT_TRUE(same_bits(y, expected));
    for (int64_t i = 0; i < 8 * static_cast<int64_t>(bits.size()); ++i) {
      ASSERT_EQ(bits[static_cast<size_t>(i / 8)] >> i % 8 & 1, i < x.numel() && is_left[i]) << i;
    }
  }
}

TEST_P(HardswishForwardTest, LoopsTellOfNaN) {
  for (const NamedLoop& named : runnable_loops()) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      for (const int64_t place : {0, 63, 64, 127, 128, 130}) {
        at::Tensor x = at::zeros({131}, GetParam());
        x[place] = bad;
        at::Tensor y = at::empty_like(x);
        uint8_t bits[17];
        EXPECT_FALSE(named.loop(Hardswish{}, storage_of_dtype(GetParam()),
                                {x.const_data_ptr(), y.mutable_data_ptr(), bits, 131}))
            << named.name << ", place " << place;
      }
    }
  }
}

TEST_P(HardswishForwardTest, LoopsWriteTheirElementsAlone) {
  for (const NamedLoop& named : runnable_loops()) {
    for (const int64_t count : {1, 7, 63, 64, 65, 257}) {
      const at::Tensor x = at::ones({count}, GetParam());
      at::Tensor y = at::full({count + 1}, 7, GetParam());
      std::vector<uint8_t> bits(static_cast<size_t>((count + 7) / 8) + 1, 0xab);
      named.loop(Hardswish{}, storage_of_dtype(GetParam()),
                 {x.const_data_ptr(), y.mutable_data_ptr(), bits.data(), count});
      EXPECT_EQ(y[count].item<double>(), 7) << named.name << ", " << count;
      EXPECT_EQ(bits.back(), 0xab) << named.name << ", " << count;
      EXPECT_TRUE(same_bits(y.slice(0, 0, count), at::hardswish(x)));
    }
  }
}

/// NaN's payloads too. In pieces that ATen gives one thread: its last elements, which it computes
/// one by one, have other NaNs.
TEST_P(HardswishForwardTest, OperatorGivesAtensBitsForNaNToo) {
  constexpr int64_t kPiece = 1 << 14;
  const at::Tensor all = interesting_inputs(GetParam());
  for (int64_t first = 0; first + kPiece <= all.numel(); first += kPiece) {
    const at::Tensor x = all.slice(0, first, first + kPiece);
    ASSERT_TRUE(same_bits(invact::hardswish(x), at::hardswish(x))) << first;
  }
}

}  // namespace
}  // namespace invact::testing
