// The forward loops of our own against ATen's operators, bit for bit: every 16-bit code, float32
// and float64 of every exponent and beside the kinks; the bits that they pack; and the operators,
// which hand NaN and the last elements of ATen's ranges to ATen.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/Version.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/activation_loops.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/element_type_of.h"
#include "kernels/math/functions.h"
#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {
namespace {

using kernels::ElementType;
namespace cpu = kernels::cpu;
namespace math = kernels::math;

/// The loops of one instruction set.
struct Loops {
  std::string name;
  std::function<bool(ElementType, const cpu::OwnForwardArrays&)> forward;
  std::function<void(ElementType, const cpu::ForwardArrays&)> pack;
};

template <class F>
std::vector<Loops> runnable_loops() {
  const auto named = [](const char* name, cpu::ForwardLoop<F> forward, cpu::PackLoop<F> pack) {
    return Loops{
        name,
        [=](ElementType type, const cpu::OwnForwardArrays& arrays) {
          return forward(F{}, type, arrays);
        },
        [=](ElementType type, const cpu::ForwardArrays& arrays) { pack(F{}, type, arrays); }};
  };
  std::vector<Loops> loops = {
      named("baseline", &cpu::baseline::forward<F>, &cpu::baseline::pack<F>)};
  if (cpu::has_avx2()) loops.push_back(named("avx2", &cpu::avx2::forward<F>, &cpu::avx2::pack<F>));
  if (cpu::has_avx512()) {
    loops.push_back(named("avx512", &cpu::avx512::forward<F>, &cpu::avx512::pack<F>));
  }
  return loops;
}

/// An operator with a forward loop of its own, and a dtype that the loop knows.
struct OwnForward {
  std::string op;
  std::vector<Loops> loops;
  /// Where the function bends or its exponential ends.
  std::vector<float> centres;
  at::ScalarType dtype;
  /// Built of an exponential, of which ATen has another one on processors without AVX2.
  bool needs_vectors;
};

std::vector<OwnForward> own_forwards() {
  std::vector<OwnForward> all;
  for (const at::ScalarType dtype : kDtypes) {
    all.push_back({"Hardswish",
                   runnable_loops<math::Hardswish>(),
                   {-3.0f, -1.5f, 3.0f, -0.0f, 0.0f, 6.0f},
                   dtype,
                   false});
    if (dtype == at::kDouble) continue;
    all.push_back({"Silu",
                   runnable_loops<math::Silu>(),
                   {-104.0f, -89.0f, -88.5f, -1.2784645f, -0.0f, 0.0f, 17.0f, 87.0f},
                   dtype,
                   true});
    all.push_back({"QuickGelu",
                   runnable_loops<math::QuickGelu>(),
                   {-61.0f, -52.0f, -0.7511489f, -0.0f, 0.0f, 10.0f, 51.0f},
                   dtype,
                   true});
  }
  return all;
}

/// Numbers beside the centres, bit patterns of the whole range, and special values; the count is a
/// multiple of 64 once NaN is gone, so that ATen computes all of them by its vectors.
at::Tensor interesting_inputs(const OwnForward& own) {
  if (at::isReducedFloatingType(own.dtype)) {
    return at::arange(-32768, 32768, at::kInt).to(at::kShort).view(own.dtype);
  }
  std::vector<at::Tensor> parts = {at::arange(0, 1 << 21, at::kLong).mul(2053).to(at::kInt)};
  for (const float centre : own.centres) {
    const int32_t bits = __builtin_bit_cast(int32_t, centre);
    parts.push_back(at::arange(-2048, 2048, at::kInt).add(bits));
  }
  const at::Tensor floats = at::cat(parts).view(at::kFloat);
  if (own.dtype == at::kFloat) return floats;
  constexpr int64_t kStride = 0x0000123456789abd;
  const at::Tensor patterns = at::arange(0, 1 << 20, at::kLong).mul(kStride << 8);
  return at::cat({patterns.view(at::kDouble), floats.to(at::kDouble)});
}

at::Tensor whole_words(const at::Tensor& x) {
  return x.slice(0, 0, x.numel() / cpu::kBlock * cpu::kBlock).contiguous();
}

class ForwardBitsTest : public ::testing::TestWithParam<OwnForward> {
 protected:
  const OpCase& op() const { return op_case(GetParam().op); }
  at::ScalarType dtype() const { return GetParam().dtype; }
  ElementType element_type() const { return kernels::element_type_of(dtype()); }
};

/// Of those of which this ATen's bits are known.
class OwnLoopBitsTest : public ForwardBitsTest {};

std::vector<OwnForward> known_forwards() {
  std::vector<OwnForward> known = own_forwards();
  const bool has_vectors = at::get_cpu_capability() != "DEFAULT";
  std::erase_if(known, [&](const OwnForward& own) { return own.needs_vectors && !has_vectors; });
  return known;
}

INSTANTIATE_TEST_SUITE_P(All, OwnLoopBitsTest, ::testing::ValuesIn(known_forwards()),
                         [](const auto& own) {
                           return own.param.op + c10::toString(own.param.dtype);
                         });
INSTANTIATE_TEST_SUITE_P(All, ForwardBitsTest, ::testing::ValuesIn(own_forwards()),
                         [](const auto& own) {
                           return own.param.op + c10::toString(own.param.dtype);
                         });

TEST_P(OwnLoopBitsTest, LoopsGiveAtensOutputsAndThePackedBits) {
  const at::Tensor all = interesting_inputs(GetParam());
  const at::Tensor x = whole_words(all.masked_select(op().aten(all).isnan().logical_not()));
  const at::Tensor expected = op().aten(x);
  for (const Loops& loops : GetParam().loops) {
    SCOPED_TRACE(loops.name);
    at::Tensor y = at::empty_like(x);
    std::vector<uint8_t> bits(static_cast<size_t>(x.numel() / 8), 0xab);
    EXPECT_TRUE(loops.forward(element_type(),
                              {x.const_data_ptr(), y.mutable_data_ptr(), bits.data(), x.numel()}));
    EXPECT_TRUE(same_bits(y, expected));
    std::vector<uint8_t> packed(bits.size());
    loops.pack(element_type(), {x.const_data_ptr(), y.const_data_ptr(), packed.data(), x.numel()});
    EXPECT_EQ(bits, packed);
  }
}

TEST_P(ForwardBitsTest, LoopsTellOfNaN) {
  for (const Loops& loops : GetParam().loops) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      for (const int64_t place : {0, 63, 64, 127, 128, 130}) {
        at::Tensor x = at::zeros({131}, dtype());
        x[place] = bad;
        if (!op().aten(x).isnan().any().item<bool>()) continue;
        at::Tensor y = at::empty_like(x);
        uint8_t bits[17];
        EXPECT_FALSE(
            loops.forward(element_type(), {x.const_data_ptr(), y.mutable_data_ptr(), bits, 131}))
            << loops.name << ", place " << place;
      }
    }
  }
}

TEST_P(ForwardBitsTest, LoopsWriteTheirElementsAlone) {
  for (const Loops& loops : GetParam().loops) {
    for (const int64_t count : {1, 7, 63, 64, 65, 257}) {
      const at::Tensor x = at::ones({count}, dtype());
      at::Tensor y = at::full({count + 1}, 7, dtype());
      std::vector<uint8_t> bits(static_cast<size_t>((count + 7) / 8) + 1, 0xab);
      loops.forward(element_type(), {x.const_data_ptr(), y.mutable_data_ptr(), bits.data(), count});
      EXPECT_EQ(y[count].item<double>(), 7) << loops.name << ", " << count;
      EXPECT_EQ(bits.back(), 0xab) << loops.name << ", " << count;
      EXPECT_NEAR(y[0].item<double>(), op().aten(x)[0].item<double>(), 1e-2);
    }
  }
}

/// With NaN, and of every count: ATen computes the last elements of each thread's range by other
/// means than its vectors.
TEST_P(ForwardBitsTest, OperatorGivesAtensBits) {
  const int threads_before = at::get_num_threads();
  const at::Tensor all = interesting_inputs(GetParam());
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    for (const int64_t count : {1, 31, 64, 95, 1000, 16384, 65521, 200003}) {
      const at::Tensor many = all.repeat({200003 / all.numel() + 1});
      const int64_t step = count < 100 ? many.numel() / 50 : count;
      for (int64_t first = 0; first + count <= many.numel(); first += step) {
        const at::Tensor x = many.slice(0, first, first + count);
        ASSERT_TRUE(same_bits(op().invact(x), op().aten(x)))
            << threads << " threads, elements from " << first << ", count " << count;
      }
    }
  }
  at::set_num_threads(threads_before);
}

/// And outputs in another order than memory's.
TEST_P(ForwardBitsTest, OperatorGivesAtensBitsOfEveryLayout) {
  for (const LayoutCase& layout : layout_cases(dtype(), at::kCPU)) {
    EXPECT_TRUE(same_bits(op().invact(layout.tensor), op().aten(layout.tensor))) << layout.name;
  }
}

/// Run with ATEN_CPU_CAPABILITY=avx2, too (CMakeLists.txt).
TEST(InstructionSetTest, IsNoWiderThanAtens) {
  const std::string atens = at::get_cpu_capability();
  const cpu::InstructionSet set = cpu::instruction_set();
  EXPECT_EQ(set == cpu::InstructionSet::kAvx512, atens == "AVX512" && cpu::has_avx512());
  EXPECT_EQ(set == cpu::InstructionSet::kBaseline,
            !cpu::has_avx2() || (atens != "AVX512" && atens != "AVX2"));
}

}  // namespace
}  // namespace invact::testing
