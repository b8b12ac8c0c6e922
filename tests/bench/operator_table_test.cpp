// A ratio says something only where both sides compute the same.
#include "bench/operator_table.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/activation/operators.h"

namespace invact::testing {
namespace {

using bench::Arrays;
using bench::bench_operators;
using bench::BenchOperator;
using bench::invact_backward;
using bench::invact_forward;
using bench::make_arrays;
using bench::prepare;

constexpr int64_t kCount = 4099;

class OperatorTable : public ::testing::TestWithParam<size_t> {
 protected:
  const BenchOperator& op() const { return bench_operators()[GetParam()]; }
};

TEST_P(OperatorTable, BothForwardsAreEqual) {
  if (!op().has_own_forward()) return;  // it is ATen's
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    // In 16 bit erf_gelu is ATen's gelu (operators.h), the other side the expression.
    if (op().name == "erf_gelu" && dtype != at::kFloat) continue;
    Arrays arrays = make_arrays(dtype, kCount, at::kCPU);
    prepare(op(), arrays);
    // Both draw the same numbers, where they draw.
    at::manual_seed(4);
    invact_forward(op(), arrays);
    const at::Tensor ours = arrays.output.clone();
    arrays.output.zero_();
    at::manual_seed(4);
    op().aten_forward(arrays);
    EXPECT_TRUE(at::equal(ours, arrays.output)) << dtype;
  }
}

TEST_P(OperatorTable, BothGradientsAgree) {
  // Tells functions and parameters apart, yet lets five roundings to bfloat16 pass (ATen's side of
  // QuickGELU, times |g| up to 4); how exact ours is, tests/kernels says.
  constexpr double kTolerance = 0.06;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    Arrays arrays = make_arrays(dtype, kCount, at::kCPU);
    prepare(op(), arrays);
    const at::Tensor atens = op().aten_backward(arrays).clone();
    arrays.grad_input.zero_();
    invact_backward(op(), arrays);
    const double error =
        (atens.to(at::kDouble) - arrays.grad_input.to(at::kDouble)).abs().max().item<double>();
    EXPECT_LE(error, kTolerance) << dtype;
    EXPECT_GT(arrays.grad_input.abs().max().item<double>(), kTolerance) << dtype;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OperatorTable, ::testing::Range(size_t{0}, bench_operators().size()),
                         [](const auto& info) { return bench_operators()[info.param].name; });

TEST(OperatorTableRows, CoverTheLibrary) {
  const auto has = [](const std::string& name) {
    return std::ranges::find(bench_operators(), name, &BenchOperator::name) !=
           bench_operators().end();
  };
#define INVACT_CHECK(Operator) \
  EXPECT_TRUE(has(kernels::Operator::kName)) << kernels::Operator::kName;
  INVACT_FOR_EACH_OPERATOR(INVACT_CHECK)
#undef INVACT_CHECK
  for (const char* name : {"gelu_tanh", "layer_norm", "rms_norm", "dropout", "gelu_dropout"}) {
    EXPECT_TRUE(has(name)) << name;
  }
}

}  // namespace
}  // namespace invact::testing
