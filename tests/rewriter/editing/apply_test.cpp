// Applying a plan: what the graph looks like, and that the whole path meets its promises.
#include "rewriter/editing/apply.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "analyzer/error.h"
#include "analyzer/model/module_paths.h"
#include "analyzer/observation/session.h"
#include "analyzer/reporting/build_report.h"
#include "rewriter/editing/module_classes.h"
#include "rewriter/verification/verify.h"
#include "tests/support/rewriting.h"

namespace invact::testing {
namespace {

using torch::jit::testing::FileCheck;

std::string graph_text(const Model& model, const std::string& method = "forward") {
  return model.module.get_method(method).graph()->toString();
}

TEST(ApplyTest, ReplacesTheNodeAndNothingElse) {
  const Rewrite result = rewrite(make_mlp("torch.gelu(h, approximate='tanh')", 16, 32, 4));
  FileCheck()
      .check("aten::linear")
      ->check("invact::gelu")
      ->check("aten::linear")
      ->check_not("aten::gelu")
      ->run(graph_text(result.rewritten));
  FileCheck().check("aten::gelu")->check_not("invact::")->run(graph_text(result.model));
}

TEST(ApplyTest, InPlaceFormStaysInPlace) {
  FileCheck()
      .check("invact::silu_")
      ->run(graph_text(rewrite(make_mlp("torch.silu_(h)", 16, 32, 4)).rewritten));
}

TEST(ApplyTest, RejectedSitesStay) {
  const auto module = make_module("Mixed", {{"w", parameter({16, 16})}}, R"(
def forward(self, x):
    y = torch.linear(torch.gelu(torch.linear(x, self.w)), self.w)
    return torch.silu(y).sum()
)");
  FileCheck()
      .check("invact::gelu")
      ->check("aten::silu")
      ->run(graph_text(rewrite(module).rewritten));
}

TEST(ApplyTest, ApplyingTwiceEqualsApplyingOnce) {
  const Rewrite once = rewrite(make_mlp("torch.gelu(h)", 16, 32, 4));
  const Rewrite twice = rewrite(once.rewritten.module);
  EXPECT_TRUE(twice.plan.sites.empty());
  EXPECT_EQ(graph_text(once.rewritten), graph_text(twice.rewritten));
}

/// Three blocks of one class, of which the second's output is saved by no other operator.
torch::jit::Module with_shared_classes() {
  const auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto block = make_module("Block", {{"v", parameter({16, 16})}, {"w", parameter({16, 16})}}, "");
  block.register_module("act", act);
  block.define(R"(
def forward(self, x):
    return torch.linear(self.act.forward(torch.linear(x, self.v)), self.w)
)");
  const auto make_block = [&](bool trained) {
    torch::jit::Module made(block._ivalue()->copy());
    made.setattr("act", act._ivalue()->copy());
    made.setattr("v", parameter({16, 16}));
    made.setattr("w", parameter({16, 16}, trained));
    return made;
  };
  auto top = make_module("Top", {}, "");
  top.register_module("first", make_block(true));
  top.register_module("second", make_block(false));
  top.register_module("third", make_block(true));
  top.define(R"(
def forward(self, x):
    return self.third.forward(self.second.forward(self.first.forward(x)))
)");
  return top;
}

std::string class_of(const Model& model, const std::string& name) {
  return class_name(model.module.attr(name).toModule());
}

TEST(ApplyTest, ClassesAreSplitWhereDecisionsDifferAndNowhereElse) {
  Rewrite result = rewrite(with_shared_classes());
  EXPECT_EQ(result.plan.accepted_count(), 2);
  const Model& rewritten = result.rewritten;
  EXPECT_EQ(class_of(rewritten, "first"), class_of(result.model, "first"));
  EXPECT_EQ(class_of(rewritten, "first"), class_of(rewritten, "third"));
  EXPECT_THAT(class_of(rewritten, "second"), ::testing::HasSubstr("rewritten_by_invact"));
  const auto act_graph = [&rewritten](const char* block) {
    const auto act = rewritten.module.attr(block).toModule().attr("act").toModule();
    return act.get_method("forward").graph()->toString();
  };
  FileCheck().check("invact::gelu")->run(act_graph("first"));
  FileCheck().check("aten::gelu")->run(act_graph("second"));
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
}

TEST(ApplyTest, WhereAllInstancesAgreeNoClassIsMade) {
  const Rewrite result = rewrite(with_shared_classes());
  auto all = with_shared_classes();
  all.attr("second").toModule().attr("w").toTensor().set_requires_grad(true);
  const Rewrite agreed = rewrite(all);
  EXPECT_EQ(agreed.plan.accepted_count(), 3);
  EXPECT_EQ(class_of(agreed.rewritten, "second"), class_of(agreed.rewritten, "first"));
}

TEST(ApplyTest, OneObjectUnderTwoNamesStaysOne) {
  auto act = make_module("Act", {}, "def forward(self, x):\n    return torch.gelu(x)\n");
  auto top = make_module("Top", {{"w", parameter({16, 16})}}, "");
  top.register_module("a", act);
  top.register_module("b", act);
  top.register_module("c", torch::jit::Module(act._ivalue()->copy()));
  top.define(R"(
def forward(self, x):
    y = self.a.forward(torch.linear(x, self.w))
    return self.c.forward(self.b.forward(torch.linear(y, self.w)) @ self.w)
)");
  const Rewrite result = rewrite(top);
  EXPECT_EQ(result.plan.accepted_count(), 1);  // c's output is saved by no other operator
  const auto object = [&result](const char* name) {
    return result.rewritten.module.attr(name).toObject();
  };
  EXPECT_EQ(object("a"), object("b"));
  EXPECT_NE(*object("a")->type(), *object("c")->type());
}

TEST(ApplyTest, RestoreGivesTheOriginalBack) {
  for (const auto& module : {with_shared_classes(), make_mlp("torch.silu_(h)", 16, 32, 4)}) {
    const Rewrite result = rewrite(module);
    const RestoredModel restored = restore_original(result.rewritten);
    EXPECT_GT(restored.operator_count, 0);
    const std::string path = temporary_path("restored.pt");
    save_module(restored.module, result.rewritten, "", path);
    const Model loaded = load_model(path, c10::kCPU);
    EXPECT_FALSE(loaded.extra_files.contains(kProvenanceFile));
    EXPECT_EQ(module_records(loaded.module), module_records(result.model.module));
    for (const auto& child : result.model.module.named_modules()) {
      const auto other =
          child.name.empty() ? loaded.module : *find_submodule(loaded.module, child.name);
      for (const auto& method : child.value.get_methods()) {
        EXPECT_EQ(other.get_method(method.name()).graph()->toString(false),
                  method.graph()->toString(false));
      }
    }
  }
}

TEST(ApplyTest, RestoreOfAnUntouchedModelFindsNothing) {
  const Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  EXPECT_EQ(restore_original(model).operator_count, 0);
}

TEST(ModuleClassesTest, NamesOfVariantsLeadBack) {
  torch::jit::CompilationUnit unit;
  EXPECT_EQ(variant_name(unit, {"__torch__.a.Block"}).qualifiedName(),
            "__torch__.rewritten_by_invact.a.Block");
  unit.register_type(c10::ClassType::create(c10::QualifiedName("__torch__.rewritten_by_invact.B"),
                                            std::weak_ptr<torch::jit::CompilationUnit>()));
  EXPECT_EQ(variant_name(unit, {"__torch__.B"}).qualifiedName(),
            "__torch__.rewritten_by_invact_2.B");
  EXPECT_EQ(variant_name(unit, {"__torch__.rewritten_by_invact.B"}).qualifiedName(),
            "__torch__.rewritten_by_invact_2.B");
  for (const char* name :
       {"__torch__.B", "__torch__.rewritten_by_invact.B", "__torch__.rewritten_by_invact_12.B"}) {
    EXPECT_EQ(original_name({name}).qualifiedName(), "__torch__.B") << name;
  }
  EXPECT_EQ(original_name({"Block"}).qualifiedName(), "Block");
}

TEST(ApplyTest, PlanOfAnotherModelIsRefused) {
  const Rewrite gelu = rewrite(make_mlp("torch.gelu(h)", 16, 32, 4));
  const Model other = saved_and_loaded(make_mlp("torch.gelu(h + 1)", 16, 32, 4));
  EXPECT_THROW(apply_plan(other, gelu.plan), Error);
}

TEST(ApplyTest, StateDictNamesAndTracedInputsSurvive) {
  Model model = saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4));
  model.traced_inputs = std::vector<c10::IValue>{at::zeros({8, 16})};
  model.extra_files["notes.txt"] = "kept";
  ModelInputs inputs;
  inputs.values = {at::randn({8, 16})};
  const Plan plan = make_plan(build_report(observe_forward(model, inputs, {})), model, {});
  const std::string path = temporary_path("traced.pt");
  save_module(apply_plan(model, plan), model, R"({"made":"by"})", path);
  const Model rewritten = load_model(path, c10::kCPU);
  ASSERT_TRUE(rewritten.traced_inputs);
  EXPECT_EQ(rewritten.traced_inputs->front().toTensor().sizes(), (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(rewritten.extra_files.at("notes.txt"), "kept");
  EXPECT_EQ(rewritten.extra_files.at(kProvenanceFile), R"({"made":"by"})");
  std::vector<std::string> names;
  for (const auto& entry : rewritten.module.named_parameters()) names.push_back(entry.name);
  EXPECT_THAT(names, ::testing::ElementsAre("w1", "w2"));
}

TEST(ApplyTest, SourceLinesSurvive) {
  const Rewrite result = rewrite(make_mlp("torch.gelu(h)", 16, 32, 4));
  Model rewritten = result.rewritten;
  const Report before =
      build_report(observe_forward(const_cast<Model&>(result.model), result.inputs, {}));
  const Report after = build_report(observe_forward(rewritten, result.inputs, {}));
  ASSERT_FALSE(before.storages.empty());
  EXPECT_GT(before.call(before.storages[0].first_call).source.line, 0);
  EXPECT_GT(after.call(after.storages[0].first_call).source.line, 0);
}

/// Every model here is rewritten, reloaded and verified: outputs bit for bit, gradients, prediction
/// to the byte.
class WholePathTest
    : public ::testing::TestWithParam<std::pair<const char*, std::vector<int64_t>>> {};

TEST_P(WholePathTest, VerifiesAndMeetsThePrediction) {
  const auto& [activation, shape] = GetParam();
  Rewrite result = rewrite(make_mlp(activation, 16, 40, 8), {}, shape);
  const int64_t sites = std::string(activation).find("dropout") == std::string::npos ? 1 : 2;
  EXPECT_EQ(result.plan.accepted_count(), shape[0] > 0 ? sites : 0);
  const Verification verification =
      verify_rewrite(result.model, result.rewritten, result.inputs, {},
                     {.saved_bytes_before = result.plan.saved_bytes_before,
                      .predicted_bytes = result.plan.saved_bytes_after});
  EXPECT_TRUE(verification.passed) << ::testing::PrintToString(verification.failures);
  EXPECT_EQ(verification.saved_bytes_after, result.plan.saved_bytes_after);
  ASSERT_EQ(verification.outputs.size(), 1u);
  EXPECT_EQ(verification.outputs[0].max_abs_error, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Models, WholePathTest,
    ::testing::Values(std::pair{"torch.gelu(h)", std::vector<int64_t>{8, 16}},
                      std::pair{"torch.gelu(h)", std::vector<int64_t>{3, 5, 7, 16}},
                      std::pair{"torch.gelu(h, approximate='tanh')", std::vector<int64_t>{1, 16}},
                      std::pair{"torch.silu(h)", std::vector<int64_t>{33, 16}},
                      std::pair{"torch.silu_(h)", std::vector<int64_t>{33, 16}},
                      std::pair{"torch.silu(torch.dropout(h, 0.3, True))",
                                std::vector<int64_t>{64, 16}},
                      std::pair{"torch.gelu(h)", std::vector<int64_t>{0, 16}},
                      std::pair{"torch.gelu(h.t()).t()", std::vector<int64_t>{8, 16}}));

}  // namespace
}  // namespace invact::testing
