// The catalog's rows and the registered operators say the same.
#include "kernels/catalog.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/heavy_operators.h"
#include "kernels/register.h"

namespace invact::testing {
namespace {

TEST(CatalogTest, EveryRowsOperatorExistsWithAtensSchema) {
  kernels::ensure_registered();
  for (const kernels::Activation& row : kernels::activations()) {
    const auto ours = c10::Dispatcher::singleton().findSchema({std::string(row.invact_op), ""});
    const auto atens = c10::Dispatcher::singleton().findSchema({std::string(row.aten_op), ""});
    ASSERT_TRUE(ours.has_value()) << row.invact_op;
    ASSERT_TRUE(atens.has_value()) << row.aten_op;
    EXPECT_EQ(ours->schema().arguments(), atens->schema().arguments()) << row.invact_op;
    EXPECT_EQ(ours->schema().returns(), atens->schema().returns()) << row.invact_op;
    EXPECT_EQ(ours->schema().is_mutable(), row.in_place) << row.invact_op;
  }
}

/// The operator of this name, with the arguments and results of ATen's.
void expect_atens_schema(std::string_view invact_op, std::string_view aten_op) {
  const auto ours = c10::Dispatcher::singleton().findSchema({std::string(invact_op), ""});
  ASSERT_TRUE(ours.has_value()) << invact_op;
  if (aten_op.empty()) return;
  const auto atens = c10::Dispatcher::singleton().findSchema({std::string(aten_op), ""});
  ASSERT_TRUE(atens.has_value()) << aten_op;
  EXPECT_EQ(ours->schema().arguments(), atens->schema().arguments()) << invact_op;
  EXPECT_EQ(ours->schema().returns(), atens->schema().returns()) << invact_op;
}

TEST(CatalogTest, CheapOperatorsAreNamedAsAtenNamesThem) {
  for (const std::string_view name : kernels::cheap_operators()) {
    const std::string qualified = "aten::" + std::string(name);
    EXPECT_FALSE(torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(qualified)).empty())
        << qualified;
    EXPECT_FALSE(kernels::is_heavy(qualified)) << qualified;
  }
}

TEST(CatalogTest, NormsAndDropoutHaveAtensSchemas) {
  kernels::ensure_registered();
  for (const kernels::Norm& row : kernels::norms()) expect_atens_schema(row.invact_op, row.aten_op);
  for (const kernels::Dropout& row : kernels::dropouts()) {
    expect_atens_schema(row.invact_op, row.aten_op);
    EXPECT_EQ(kernels::saved_bytes(row, 17), 3);
  }
}

/// NAME's arguments behind self, and dropout's before them.
std::vector<c10::Argument> with_dropouts_arguments(const c10::FunctionSchema& activation,
                                                   const c10::FunctionSchema& dropout) {
  std::vector<c10::Argument> arguments = {activation.arguments()[0], dropout.arguments()[1],
                                          dropout.arguments()[2]};
  arguments.insert(arguments.end(), activation.arguments().begin() + 1,
                   activation.arguments().end());
  return arguments;
}

TEST(CatalogTest, EveryActivationThatWritesNothingHasADropoutOfIt) {
  kernels::ensure_registered();
  const auto schema = [](std::string_view op) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(std::string(op).c_str(), "").schema();
  };
  for (const auto rows : {kernels::activations(), kernels::written_out_activations()}) {
    for (const kernels::Activation& row : rows) {
      const kernels::ActivationDropout* const fused = kernels::find_activation_dropout(row);
      ASSERT_EQ(fused == nullptr, row.in_place) << row.invact_op;
      if (fused == nullptr) continue;
      EXPECT_EQ(fused->invact_op, std::string(row.invact_op) + "_dropout");
      EXPECT_EQ(schema(fused->invact_op).arguments(),
                with_dropouts_arguments(schema(row.invact_op), schema("aten::dropout")));
    }
  }
  EXPECT_EQ(kernels::activation_dropouts().size(), 17u);
}

TEST(CatalogTest, ADropoutOfAnActivationSavesABitMore) {
  const kernels::Activation& silu = *kernels::find_activation("aten::silu", "");
  EXPECT_EQ(kernels::dropout_and_branch_bytes(silu, 17), 6);
  EXPECT_EQ(kernels::dropout_and_branch_bytes(silu, 0), 0);
  const kernels::Activation& elu = *kernels::find_activation("aten::elu", "");
  EXPECT_EQ(kernels::dropout_and_branch_bytes(elu, 17), 3);
}

TEST(CatalogTest, RecoveryRatiosAreThoseOfTheLimits) {
  const kernels::RecoveryRatios ratios = kernels::recovery_ratios();
  EXPECT_EQ(ratios.float64, 64);
  EXPECT_EQ(ratios.float32, 64);
  EXPECT_EQ(ratios.bfloat16, 4);
  EXPECT_EQ(ratios.float16, 8);
}

TEST(CatalogTest, FindsRowsByOperatorAndVariant) {
  ASSERT_NE(kernels::find_activation("aten::gelu", "tanh"), nullptr);
  EXPECT_EQ(kernels::find_activation("aten::gelu", "tanh")->variant, "tanh");
  EXPECT_EQ(kernels::find_activation("aten::gelu", ""), nullptr);
  EXPECT_EQ(kernels::find_activation("aten::relu", ""), nullptr);
  EXPECT_TRUE(kernels::is_activation("aten::silu_"));
  EXPECT_FALSE(kernels::is_activation("aten::relu"));
}

TEST(CatalogTest, WrittenOutFunctionsHaveOperatorsOfTheirOwn) {
  kernels::ensure_registered();
  for (const kernels::Activation& row : kernels::written_out_activations()) {
    EXPECT_TRUE(c10::Dispatcher::singleton().findSchema({std::string(row.invact_op), ""}))
        << row.invact_op;
    EXPECT_EQ(kernels::find_replacement(row.invact_op), nullptr) << row.invact_op;
  }
  EXPECT_FALSE(kernels::is_activation(""));
}

TEST(CatalogTest, ParametersDecideWhetherTheOutputIsEnough) {
  const auto accepts = [](const char* op, std::vector<double> parameters) {
    return kernels::find_activation(op, "")->is_invertible(parameters);
  };
  EXPECT_TRUE(accepts("aten::elu", {1, 1, 1}));
  EXPECT_TRUE(accepts("aten::elu", {0, 1, 1}));
  EXPECT_FALSE(accepts("aten::elu", {-1, 1, 1}));
  EXPECT_FALSE(accepts("aten::elu", {1, 0, 1}));
  EXPECT_FALSE(accepts("aten::elu", {1, 1, -1}));
  EXPECT_FALSE(accepts("aten::elu", {std::nan(""), 1, 1}));
  EXPECT_TRUE(accepts("aten::celu", {0.5}));
  EXPECT_FALSE(accepts("aten::celu", {-0.5}));
  EXPECT_FALSE(accepts("aten::celu", {0}));
  EXPECT_TRUE(accepts("aten::softplus", {2, 20}));
  EXPECT_FALSE(accepts("aten::softplus", {1, 19}));
  EXPECT_TRUE(accepts("aten::leaky_relu", {0}));
  EXPECT_FALSE(accepts("aten::leaky_relu", {-0.01}));
  EXPECT_TRUE(accepts("aten::hardtanh_", {-1, 1}));
  EXPECT_FALSE(accepts("aten::hardtanh", {1, -1}));
}

TEST(CatalogTest, BranchBytesRoundUp) {
  const kernels::Activation& row = *kernels::find_activation("aten::silu", "");
  EXPECT_EQ(kernels::branch_bytes(row, 0), 0);
  EXPECT_EQ(kernels::branch_bytes(row, 1), 1);
  EXPECT_EQ(kernels::branch_bytes(row, 8), 1);
  EXPECT_EQ(kernels::branch_bytes(row, 9), 2);
  EXPECT_EQ(kernels::branch_bytes(row, int64_t{1} << 40), int64_t{1} << 37);
  EXPECT_EQ(kernels::branch_bytes(*kernels::find_activation("aten::elu", ""), 9), 0);
}

}  // namespace
}  // namespace invact::testing
