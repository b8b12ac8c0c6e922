// The inlined graph: what is decided in it, and where its nodes say that they come from.
#include "rewriter/graph/inlined_model.h"

#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/csrc/jit/testing/file_check.h>

#include <algorithm>

#include "tests/support/models.h"

namespace invact::testing {
namespace {

using torch::jit::testing::FileCheck;

/// A module whose forward is `text`; `self` is the graph's first input.
torch::jit::Module with_graph(const std::string& text) {
  torch::jit::Module module("Parsed");
  auto graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(text, graph.get());
  graph->inputs()[0]->setType(module.type());
  auto* const forward = module._ivalue()->compilation_unit()->create_function(
      c10::QualifiedName(*module.type()->name(), "forward"), graph);
  module.type()->addMethod(forward);
  return module;
}

TEST(InlinedModelTest, ANoneOfOptionalTypeStaysNone) {
  const InlinedModel inlined(with_graph(R"(
graph(%self, %x : Tensor):
  %absent : Tensor? = prim::Constant()
  %none : NoneType = prim::Constant()
  %is_absent : bool = aten::__is__(%absent, %none)
  %y : Tensor = prim::If(%is_absent)
    block0():
      %a : Tensor = aten::relu(%x)
      -> (%a)
    block1():
      %b : Tensor = aten::tanh(%x)
      -> (%b)
  return (%y)
)"));
  FileCheck().check("aten::relu")->check_not("aten::tanh")->run(inlined.graph()->toString());
}

TEST(InlinedModelTest, EveryCopyKnowsItsOrigin) {
  auto inner = make_module("Inner", {}, "def forward(self, x):\n    return torch.relu(x)\n");
  auto top = make_module("Top", {}, "");
  top.register_module("a", inner);
  top.register_module("b", torch::jit::Module(inner._ivalue()->copy()));
  top.define(R"(
def twice(self, x):
    return self.a.forward(self.a.forward(x))
def forward(self, x):
    return self.b.forward(self.twice(x))
)");
  const InlinedModel inlined(top);
  std::vector<std::string> paths;
  for (const auto* node : inlined.nodes()) {
    if (node->kind() != torch::jit::aten::relu) continue;
    const NodeOrigin* const origin = inlined.origin(*node);
    ASSERT_NE(origin, nullptr);
    EXPECT_EQ(origin->method, "forward");
    EXPECT_EQ(origin->fingerprint, graph_fingerprint(*inner.get_method("forward").graph()));
    paths.push_back(origin->module_path);
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"a", "a", "b"}));
  FileCheck().check_not("prim::CallMethod")->run(inlined.graph()->toString());
}

TEST(InlinedModelTest, TheModelItselfStays) {
  const auto module = make_module("M", {},
                                  "def helper(self, x):\n    return torch.relu(x)\ndef "
                                  "forward(self, x):\n    return self.helper(x)\n");
  const std::string before = module.get_method("forward").graph()->toString();
  const InlinedModel inlined(module);
  EXPECT_EQ(module.get_method("forward").graph()->toString(), before);
}

}  // namespace
}  // namespace invact::testing
