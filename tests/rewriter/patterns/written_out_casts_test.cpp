// Activations that models write out with casts in between, and in 16 bit: which are matched, which
// are let alone, and in which dtype.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using torch::jit::testing::FileCheck;

/// `lines` make y of h, which has the weights' dtype, as the linear that reads y asks for.
Rewrite rewrite_in(at::ScalarType dtype, const std::string& lines) {
  torch::jit::Module module = with_body("    h = torch.linear(x.to(self.w.dtype), self.w)\n" +
                                        lines + "    return torch.linear(y, self.w)\n");
  module.to(dtype);
  return rewrite(module);
}

// 5, 6 and 15 are float16, float32 and bfloat16, as a trace writes them.

struct Spelling {
  const char* lines;
  const char* op;
  const char* replacement;
};

/// Of scripted code, which serves every dtype.
class CastSpellingTest : public ::testing::TestWithParam<Spelling> {};

TEST_P(CastSpellingTest, IsOneOperatorOfTheInputInEveryDtype) {
  const Spelling& spelling = GetParam();
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat}) {
    SCOPED_TRACE(c10::toString(dtype));
    Rewrite result = rewrite_in(dtype, spelling.lines);
    ASSERT_THAT(ops(result.plan), ::testing::Contains(spelling.op));
    const Site& site = result.plan.sites.back();
    ASSERT_EQ(site.op, spelling.op);
    EXPECT_TRUE(site.decision.accepted) << site.decision.reason;
    EXPECT_EQ(replacement_of(site.edit), spelling.replacement);
    // The inputs of both linears, and a bit per element.
    const int64_t element_bytes = dtype == at::kFloat ? 4 : 2;
    EXPECT_EQ(result.plan.saved_bytes_after,
              2 * element_bytes * kRows * kColumns + kRows * kColumns / 8);
    FileCheck()
        .check(spelling.replacement)
        ->check("aten::linear")
        ->run(graph_text(result.rewritten));
    expect_verified(result);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, CastSpellingTest,
    ::testing::Values(
        Spelling{"    y = torch.gelu(h.float()).type_as(h)\n", "written-out gelu", "invact::gelu"},
        Spelling{"    y = torch.silu(h.to(6)).to(h.dtype)\n", "written-out silu", "invact::silu"},
        Spelling{"    f = h.to(6)\n"
                 "    y = (f * torch.sigmoid(f)).to(h.dtype)\n",
                 "written-out silu", "invact::silu"},
        Spelling{"    dtype = h.dtype\n"
                 "    f = h.float()\n"
                 "    f = 0.5 * f * (1.0 + torch.tanh(0.7978845608028654 * (f + 0.044715 * "
                 "torch.pow(f, 3.0))))\n"
                 "    y = f.to(dtype)\n",
                 "written-out gelu", "invact::gelu"},
        Spelling{"    f = h.float()\n"
                 "    y = (f * torch.tanh(torch.softplus(f))).to(h)\n",
                 "written-out mish", "invact::mish"}));

/// A trace of a 16-bit model holds its dtype as a number.
TEST(WrittenOutCastsTest, ATracesCastsNameTheDtype) {
  const char* const lines = "    y = torch.silu(h.to(6)).to(15)\n";
  Rewrite result = rewrite_in(at::kBFloat16, lines);
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out silu"));
  EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
  expect_verified(result);
}

TEST(WrittenOutCastsTest, SixteenBitModelsHaveTheirOwnRoundings) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    Rewrite result =
        rewrite_in(dtype, "    y = h * 0.5 * (1.0 + torch.erf(h / 1.4142135623730951))\n");
    ASSERT_THAT(ops(result.plan), ElementsAre("written-out gelu"));
    EXPECT_EQ(replacement_of(result.plan.sites[0].edit), "invact::erf_gelu");
    EXPECT_TRUE(result.plan.sites[0].decision.accepted) << result.plan.sites[0].decision.reason;
    expect_verified(result);
  }
}

/// The operator has the expression's own erf in float32.
TEST(WrittenOutCastsTest, ErfGeluHasItsBitsInFloat32) {
  Rewrite result =
      rewrite_in(at::kFloat, "    y = h * 0.5 * (1.0 + torch.erf(h / 1.4142135623730951))\n");
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed);
  EXPECT_EQ(verification.outputs[0].max_abs_error, 0);
}

struct NearMiss {
  const char* why;
  const char* lines;
  at::ScalarType dtype;
};

TEST(WrittenOutCastsTest, NearMissesLeaveTheFunctionBetween) {
  for (const NearMiss& miss : {
           NearMiss{"computed in fewer digits", "    y = torch.silu(h.to(15)).to(h.dtype)\n",
                    at::kFloat},
           NearMiss{"computed in a smaller range", "    y = torch.silu(h.to(5)).to(h.dtype)\n",
                    at::kBFloat16},
           NearMiss{"the cast is read by others",
                    "    f = h.float()\n    y = torch.silu(f).to(h.dtype) + f.sum().to(h.dtype)\n",
                    at::kBFloat16},
           NearMiss{"another tensor's dtype", "    y = torch.silu(h.float()).to(self.g.dtype)\n",
                    at::kBFloat16},
           NearMiss{"other values", "    y = torch.silu(h.float() + 1).to(h.dtype)\n",
                    at::kBFloat16},
       }) {
    const Rewrite result = rewrite_in(miss.dtype, miss.lines);
    EXPECT_THAT(ops(result.plan), ElementsAre("aten::silu")) << miss.why;
  }
}

/// The code serves bfloat16 alone, and runs in float32: what is between its casts has its turn.
TEST(WrittenOutCastsTest, AnotherDtypeThanTheCodesIsRejected) {
  Rewrite result =
      rewrite(with_body("    h = torch.linear(x, self.w)\n"
                        "    y = torch.silu(h.to(6)).to(15)\n"
                        "    return torch.linear(y, self.w.to(15))\n"));
  ASSERT_THAT(ops(result.plan), ElementsAre("aten::silu", "written-out silu"));
  EXPECT_EQ(result.plan.sites[1].decision.reason_code, "other_values");
  expect_verified(result);
}

TEST(WrittenOutCastsTest, ASumOfExponentialsThatOverflowsIsNotSoftplus) {
  const Rewrite result = rewrite_in(at::kHalf, "    y = torch.log(1 + torch.exp(h))\n");
  ASSERT_THAT(ops(result.plan), ElementsAre("written-out softplus"));
  EXPECT_EQ(result.plan.sites[0].decision.reason_code, "other_values");
  EXPECT_THAT(result.plan.sites[0].decision.reason, HasSubstr("float"));
}

/// The library has no operator for complex numbers: a rewritten model would raise.
TEST(OtherDtypeTest, ComplexActivationsAreLeftAlone) {
  for (const char* lines :
       {"    y = h * torch.sigmoid(h)\n", "    y = h / (1 + torch.exp(-h))\n"}) {
    const Rewrite result = rewrite_in(at::kComplexFloat, lines);
    ASSERT_EQ(result.plan.sites.size(), 1u) << lines;
    EXPECT_EQ(result.plan.sites[0].decision.reason_code, "dtype_unknown") << lines;
    EXPECT_THAT(result.plan.sites[0].decision.reason, HasSubstr("complex")) << lines;
  }
}

}  // namespace
}  // namespace invact::testing
