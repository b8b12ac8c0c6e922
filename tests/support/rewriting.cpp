#include "tests/support/rewriting.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "rewriter/analysis.h"
#include "rewriter/editing/apply.h"
#include "rewriter/verification/verify.h"

namespace invact::testing {

namespace {

Rewrite planned(const torch::jit::Module& module, const PlanOptions& options,
                const std::vector<int64_t>& shape) {
  ModelInputs inputs;
  inputs.values = {at::randn(shape)};
  AnalysisOptions analysis_options;
  analysis_options.plan = options;
  Analysis analysis = analyze_model(saved_and_loaded(module), std::move(inputs), analysis_options);
  Rewrite result;
  result.model = std::move(analysis.model);
  result.inputs = std::move(analysis.inputs);
  result.plan = std::move(analysis.plan);
  return result;
}

}  // namespace

PlanOptions from_outputs() {
  PlanOptions options;
  options.strategies = {"output", "closed"};
  return options;
}

Plan plan_of(const torch::jit::Module& module, const PlanOptions& options) {
  return planned(module, options, {kRows, kColumns}).plan;
}

std::string reason(const Plan& plan, size_t site) {
  return site < plan.sites.size() ? plan.sites[site].decision.reason_code : "no site";
}

Rewrite rewrite(const torch::jit::Module& module, const PlanOptions& options,
                const std::vector<int64_t>& shape) {
  Rewrite result = planned(module, options, shape);
  const std::string path = temporary_path("rewritten.pt");
  save_module(apply_plan(result.model, result.plan), result.model, "{}", path);
  result.rewritten = load_model(path, c10::kCPU);
  return result;
}

Model restored(const Model& rewritten) {
  const RestoredModel model = restore_original(rewritten);
  EXPECT_GT(model.operator_count, 0);
  const std::string path = temporary_path("restored.pt");
  save_module(model.module, rewritten, "", path);
  return load_model(path, c10::kCPU);
}

void expect_verified(Rewrite& result) {
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
}

std::string graph_text(const Model& model) {
  return model.module.get_method("forward").graph()->toString(/*print_source_locations=*/false);
}

std::vector<std::string> ops(const Plan& plan) {
  std::vector<std::string> names;
  for (const Site& site : plan.sites) names.push_back(site.op);
  return names;
}

torch::jit::Module with_body(const std::string& body) {
  const auto positive = [](bool requires_grad) {
    return at::linspace(0.5, 1.5, kColumns).set_requires_grad(requires_grad);
  };
  return make_module("Body",
                     {{"w", parameter({kColumns, kColumns})},
                      {"g", positive(true)},
                      {"b", parameter({kColumns})},
                      {"frozen", positive(false)},
                      {"zeros", at::zeros({kColumns}).set_requires_grad(true)}},
                     "def forward(self, x):\n" + body);
}

torch::jit::Module with_lines(const std::string& between) {
  return with_body("    h = torch.linear(x, self.w)\n" + between +
                   "    return torch.linear(y, self.w)\n");
}

PlanOptions exact() {
  PlanOptions options;
  options.exact = true;
  return options;
}

void expect_same_bits(Rewrite& result) {
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.predicted_bytes = result.plan.saved_bytes_after, .exact = true});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
  EXPECT_EQ(verification.gradient_distance, 0);
  for (const TensorComparison& output : verification.outputs) EXPECT_EQ(output.max_abs_error, 0);
}

std::vector<std::string> segments(const Plan& plan) {
  std::vector<std::string> names;
  for (const Site& site : plan.sites) {
    if (site.decision.accepted && std::holds_alternative<Recompute>(site.edit))
      names.push_back(site.op);
  }
  return names;
}

}  // namespace invact::testing
