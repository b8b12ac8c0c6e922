// The flat loops of every instruction set: packing, conversions, tails, and agreement with the
// derivative of forms.h.
#include "kernels/cpu/activation_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "kernels/activation/activation_function.h"
#include "tests/kernels/math/forms.h"
#include "tests/kernels/math/reference.h"

namespace invact::testing {
namespace {

using kernels::cpu::BackwardArrays;
using kernels::math::Gelu;

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

struct Loops {
  const char* name;
  InstructionSet set;
  kernels::cpu::PackLoop<Gelu> pack;
  kernels::cpu::BackwardLoop<Gelu> backward;
  decltype(&baseline::derivative) derivative;
};

std::vector<Loops> runnable_loops() {
  namespace cpu = kernels::cpu;
  std::vector<Loops> loops = {{"baseline", InstructionSet::kBaseline, &cpu::baseline::pack<Gelu>,
                               &cpu::baseline::backward<Gelu>, &baseline::derivative}};
  if (cpu::has_avx2()) {
    loops.push_back({"avx2", InstructionSet::kAvx2, &cpu::avx2::pack<Gelu>,
                     &cpu::avx2::backward<Gelu>, &avx2::derivative});
  }
  if (cpu::has_avx512()) {
    loops.push_back({"avx512", InstructionSet::kAvx512, &cpu::avx512::pack<Gelu>,
                     &cpu::avx512::backward<Gelu>, &avx512::derivative});
  }
  return loops;
}

template <class F>
kernels::cpu::BackwardLoop<F> backward_loop(InstructionSet set) {
  if (set == InstructionSet::kAvx512) return &kernels::cpu::avx512::backward<F>;
  return set == InstructionSet::kAvx2 ? &kernels::cpu::avx2::backward<F>
                                      : &kernels::cpu::baseline::backward<F>;
}

/// Values of a 16-bit format by code.
double decode(ElementType type, uint16_t code) {
  if (type == ElementType::kBFloat16)
    return __builtin_bit_cast(float, static_cast<uint32_t>(code) << 16);
  const int exponent = code >> 10 & 31;
  const double mantissa = code & 1023;
  if (exponent == 31) return mantissa == 0 ? std::copysign(INFINITY, code >> 15 ? -1.0 : 1.0) : NAN;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  return code >> 15 ? -magnitude : magnitude;
}

TEST(LoopsTest, PacksEveryCountLeastSignificantBitFirst) {
  const double minimum = static_cast<double>(references()[0].minimum_x);
  std::mt19937 random(1);
  for (const Loops& loops : runnable_loops()) {
    for (const int64_t count : {1, 7, 8, 9, 255, 256, 257, 263, 1000}) {
      std::vector<float> x(static_cast<size_t>(count));
      for (float& v : x) v = std::normal_distribution<float>(0, 2)(random);
      std::vector<uint8_t> bits(static_cast<size_t>((count + 7) / 8) + 1, 0xab);
      const std::vector<float> y(x.size(), 1.0f);  // far from the minimum: no refinement codes
      loops.pack(Gelu{}, ElementType::kFloat32, {x.data(), y.data(), bits.data(), count});
      EXPECT_EQ(bits.back(), 0xab) << loops.name << " wrote past the end, count " << count;
      for (int64_t i = 0; i < 8 * ((count + 7) / 8); ++i) {
        const bool bit = bits[static_cast<size_t>(i / 8)] >> i % 8 & 1;
        EXPECT_EQ(bit, i < count && x[static_cast<size_t>(i)] < minimum)
            << loops.name << ", element " << i;
      }
    }
  }
}

TEST(LoopsTest, PacksTheBranchOfEverySixteenBitCode) {
  std::vector<uint16_t> codes(1 << 16);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint16_t>(i);
  for (const Loops& loops : runnable_loops()) {
    for (const ElementType type : {ElementType::kBFloat16, ElementType::kFloat16}) {
      std::vector<uint8_t> bits(codes.size() / 8);
      loops.pack(Gelu{}, type,
                 {codes.data(), codes.data(), bits.data(), static_cast<int64_t>(codes.size())});
      for (size_t i = 0; i < codes.size(); ++i) {
        const bool expected =
            decode(type, codes[i]) < static_cast<double>(references()[0].minimum_x);
        ASSERT_EQ(bits[i / 8] >> i % 8 & 1, expected) << loops.name << ", code " << i;
      }
    }
  }
}

/// Every function of the library, with parameters that could be mixed up with each other.
const std::vector<ActivationFunction>& functions() {
  using namespace kernels::math;
  static const std::vector<ActivationFunction> all = {
      Gelu{},          ErfGelu{},         GeluTanh{},   Silu{},
      Mish{},          QuickGelu{},       Hardswish{},  selu(),
      Softplus{2, 20}, LogSigmoid{},      Softsign{},   LeakyRelu{0.125},
      Hardsigmoid{},   Hardtanh{-0.5, 2}, SquaredRelu{}};
  return all;
}

void run_backward(const ActivationFunction& function, InstructionSet set, ElementType type,
                  const BackwardArrays& arrays) {
  std::visit([&]<class F>(const F& f) { backward_loop<F>(set)(f, type, arrays); }, function);
}

TEST(LoopsTest, ListsEveryFunction) {
  std::set<size_t> alternatives;
  for (const ActivationFunction& function : functions()) alternatives.insert(function.index());
  EXPECT_EQ(alternatives.size(), std::variant_size_v<ActivationFunction>);
}

/// Every output code on both branches with random gradients: covers loading, the derivative and
/// rounding to the format.
TEST(LoopsTest, BackwardRoundsGradientTimesDerivativeOnEverySixteenBitCode) {
  std::mt19937 random(2);
  for (const ActivationFunction& function : functions()) {
    for (const Loops& loops : runnable_loops()) {
      for (const ElementType type : {ElementType::kBFloat16, ElementType::kFloat16}) {
        for (const uint8_t byte : {0x00, 0xff}) {
          SCOPED_TRACE(std::string(kernels::function_name(function)) + ", " + loops.name);
          std::vector<uint16_t> y(1 << 16), g(1 << 16), result(1 << 16);
          StoredOutputs outputs;
          for (size_t i = 0; i < y.size(); ++i) {
            y[i] = static_cast<uint16_t>(i);
            g[i] = static_cast<uint16_t>(random());
            outputs.y.push_back(decode(type, y[i]));
            outputs.left.push_back(byte != 0);
          }
          const std::vector<uint8_t> bits(y.size() / 8, byte);
          run_backward(function, loops.set, type,
                       {g.data(), y.data(), bits.data(), result.data(), 1 << 16});
          const std::vector<double> derivative = loops.derivative(function, type, outputs);
          for (size_t i = 0; i < y.size(); ++i) {
            const auto incoming = static_cast<float>(decode(type, g[i]));
            const float product = incoming * static_cast<float>(derivative[i]);
            const double expected = round_to(product, format_of(type));
            const double found = decode(type, result[i]);
            if (derivative[i] == 0 && !std::isfinite(incoming)) {
              // Zero where ATen cuts (MonotoneOpTest.InfiniteGradientsPassAsAtens).
              ASSERT_TRUE(found == 0 || std::isnan(found)) << "code " << i;
              continue;
            }
            if (std::isinf(expected)) {
              ASSERT_EQ(found, expected) << "code " << i;
              continue;
            }
            if (std::isnan(expected)) {
              ASSERT_TRUE(std::isnan(found)) << "code " << i;
              continue;
            }
            // The scalar build of the form may contract differently from the lanes: neighbours at
            // most.
            const double spacing = std::abs(round_to(expected * 1.01L, format_of(type)) - expected);
            ASSERT_LE(std::abs(found - expected), expected == found ? 0 : spacing) << "code " << i;
          }
        }
      }
    }
  }
}

/// The same in float32 and float64, over outputs of every size.
TEST(LoopsTest, BackwardMultipliesByTheDerivativeInFullPrecision) {
  constexpr int kCount = 1 << 16;
  std::vector<float> y(kCount), ones(kCount, 1.0f), result(kCount);
  std::vector<double> y64(kCount), ones64(kCount, 1.0), result64(kCount);
  StoredOutputs outputs;
  std::vector<uint8_t> bits(kCount / 8);
  for (size_t i = 0; i < y.size(); ++i) {
    // Only zeros among the outputs above zero could hold refinement codes: none here.
    const double magnitude = std::exp2(static_cast<double>(i) / kCount * 40 - 36);
    y[i] = static_cast<float>(i % 2 == 0 ? magnitude : -magnitude);
    y64[i] = y[i];
    const bool left = y[i] < 0 && i % 4 == 1;
    if (left) bits[i / 8] |= static_cast<uint8_t>(1 << i % 8);
    outputs.y.push_back(y[i]);
    outputs.left.push_back(left);
  }
  for (const ActivationFunction& function : functions()) {
    for (const Loops& loops : runnable_loops()) {
      SCOPED_TRACE(std::string(kernels::function_name(function)) + ", " + loops.name);
      run_backward(function, loops.set, ElementType::kFloat32,
                   {ones.data(), y.data(), bits.data(), result.data(), kCount});
      run_backward(function, loops.set, ElementType::kFloat64,
                   {ones64.data(), y64.data(), bits.data(), result64.data(), kCount});
      const std::vector<double> expected =
          loops.derivative(function, ElementType::kFloat32, outputs);
      const std::vector<double> expected64 =
          loops.derivative(function, ElementType::kFloat64, outputs);
      for (size_t i = 0; i < y.size(); ++i) {
        const double allowed = 1e-6 * std::max(1.0, std::abs(expected[i]));
        ASSERT_NEAR(result[i], expected[i], allowed) << "y " << y[i];
        ASSERT_NEAR(result64[i], expected64[i], 1e-8 * allowed) << "y " << y[i];
      }
    }
  }
}

TEST(LoopsTest, BackwardOfSpecialOutputsIsTheDerivative) {
  const double infinity = std::numeric_limits<double>::infinity();
  StoredOutputs outputs;
  for (const double y :
       {0.0, -0.0, 1e-45, -1e-45, -1e-30, infinity, -infinity, 3e38, std::nan("")}) {
    for (int i = 0; i < 8; ++i) {
      outputs.y.push_back(y);
      // What lies above zero is on the right branch.
      outputs.left.push_back(i % 2 != 0 && !(y > 0));
    }
  }
  const size_t count = outputs.y.size();
  std::vector<float> y(outputs.y.begin(), outputs.y.end()), ones(count, 1.0f), result(count);
  std::vector<uint8_t> bits((count + 7) / 8);
  for (size_t i = 0; i < count; ++i) bits[i / 8] |= static_cast<uint8_t>(outputs.left[i] << i % 8);
  for (const ActivationFunction& function : functions()) {
    for (const Loops& loops : runnable_loops()) {
      SCOPED_TRACE(std::string(kernels::function_name(function)) + ", " + loops.name);
      run_backward(
          function, loops.set, ElementType::kFloat32,
          {ones.data(), y.data(), bits.data(), result.data(), static_cast<int64_t>(count)});
      const std::vector<double> expected =
          loops.derivative(function, ElementType::kFloat32, outputs);
      for (size_t i = 0; i < count; ++i) {
        if (std::isnan(expected[i])) {
          EXPECT_TRUE(std::isnan(result[i])) << "y " << y[i];
        } else if (std::isinf(expected[i])) {
          EXPECT_EQ(result[i], expected[i]) << "y " << y[i];
        } else {
          EXPECT_NEAR(result[i], expected[i], 1e-6 * std::max(1.0, std::abs(expected[i])))
              << "y " << y[i];
        }
      }
    }
  }
}

TEST(LoopsTest, BackwardHandlesEveryTailAndWritesNothingElse) {
  std::mt19937 random(3);
  for (const Loops& loops : runnable_loops()) {
    // Batches of 1024, words of 64, what is left.
    for (const int64_t count : {1, 7, 8, 9, 255, 256, 257, 1000, 1023, 1024, 1025, 2500}) {
      std::vector<float> y(static_cast<size_t>(count)), g(y.size()), result(y.size() + 1, -7.0f);
      std::vector<uint8_t> bits((y.size() + 7) / 8);
      StoredOutputs outputs;
      for (size_t i = 0; i < y.size(); ++i) {
        y[i] = std::uniform_real_distribution<float>(-0.16f, 3.0f)(random);
        g[i] = std::normal_distribution<float>()(random);
        const bool left = y[i] < 0 && random() % 2 == 0;
        if (left) bits[i / 8] |= static_cast<uint8_t>(1 << i % 8);
        outputs.y.push_back(y[i]);
        outputs.left.push_back(left);
      }
      loops.backward(Gelu{}, ElementType::kFloat32,
                     {g.data(), y.data(), bits.data(), result.data(), count});
      EXPECT_EQ(result.back(), -7.0f);
      const std::vector<double> derivative =
          loops.derivative(kernels::math::Gelu{}, ElementType::kFloat32, outputs);
      for (size_t i = 0; i < y.size(); ++i)
        EXPECT_NEAR(result[i], g[i] * derivative[i], 1e-6) << loops.name;
    }
  }
}

/// `count` inputs: every third near the minimum, the others above zero; outputs correctly rounded.
struct NearMinimum {
  explicit NearMinimum(size_t count)
      : x(count), y(count), bits((count + 7) / 8), derivative(count) {
    std::mt19937 random(11);
    const double minimum = static_cast<double>(references()[0].minimum_x);
    for (size_t i = 0; i < count; ++i) {
      const double u = std::uniform_real_distribution<double>(-0.02, 0.02)(random);
      x[i] = static_cast<float>(i % 8 == 0 ? minimum + u : 0.5 + std::abs(u));
      y[i] = static_cast<float>(Gelu{}.value(x[i]));
    }
  }
  void run(bool refined, const Loops& loops) {
    const int64_t count = static_cast<int64_t>(x.size());
    // Without codes: from outputs that seem far from the minimum.
    const std::vector<float> far(x.size(), 1.0f);
    const float* const output = refined ? y.data() : far.data();
    loops.pack(Gelu{}, ElementType::kFloat32, {x.data(), output, bits.data(), count});
    const std::vector<float> ones(x.size(), 1.0f);
    loops.backward(Gelu{}, ElementType::kFloat32,
                   {ones.data(), y.data(), bits.data(), derivative.data(), count});
  }
  double largest_error() const {
    double largest = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, std::abs(derivative[i] - Gelu{}.derivative(x[i])));
    }
    return largest;
  }
  std::vector<float> x, y;
  std::vector<uint8_t> bits;
  std::vector<float> derivative;
};

TEST(RefinementTest, CodesLowerTheErrorOfWholeBlocksAndTails) {
  for (const Loops& loops : runnable_loops()) {
    for (const size_t count : {256u, 2560u, 263u, 2000u}) {
      NearMinimum plain(count), refined(count);
      plain.run(false, loops);
      refined.run(true, loops);
      EXPECT_LT(refined.largest_error(), 6e-6) << loops.name << ", " << count;
      EXPECT_LT(refined.largest_error(), plain.largest_error()) << count;
    }
  }
}

TEST(RefinementTest, InstructionSetsReadEachOthersCodes) {
  const std::vector<Loops> all = runnable_loops();
  if (all.size() == 1) GTEST_SKIP() << "this processor has no AVX2";
  NearMinimum baseline(2560);
  baseline.run(true, all.front());
  for (const Loops& loops : all) {
    NearMinimum other(2560);
    other.run(true, loops);
    EXPECT_EQ(baseline.bits, other.bits) << loops.name;
  }
}

TEST(RefinementTest, ABlockWithoutPlacesKeepsItsBranchBits) {
  NearMinimum data(256);
  for (size_t i = 0; i < data.x.size(); ++i) {
    data.x[i] = data.x[i] > 0 ? -data.x[i] : data.x[i];
    data.y[i] = static_cast<float>(Gelu{}.value(data.x[i]));
  }
  NearMinimum plain = data;
  for (const Loops& loops : runnable_loops()) {
    data.run(true, loops);
    plain.run(false, loops);
    EXPECT_EQ(data.bits, plain.bits) << loops.name;
    EXPECT_EQ(data.derivative, plain.derivative) << loops.name;
  }
}

TEST(RefinementTest, EveryCodeOfEveryOutputStaysInItsInterval) {
  const Gelu f;
  for (int step = -40; step <= 20000; ++step) {
    const float y = -0.16997121f + static_cast<float>(step) * 0x1p-26f;
    if (y >= Gelu::kFirstUnrefined) break;
    for (int code = 1; code <= kernels::math::kRefinementSteps; ++code) {
      for (const bool left : {false, true}) {
        const float derivative = f.from_refined(y, code, left);
        ASSERT_TRUE(std::isfinite(derivative)) << step << ", " << code;
        ASSERT_EQ(derivative < 0, left) << step << ", " << code;
        ASSERT_LT(std::abs(derivative), 0.02f) << step << ", " << code;
      }
    }
  }
}

}  // namespace
}  // namespace invact::testing
