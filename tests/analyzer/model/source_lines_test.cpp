#include "analyzer/model/source_lines.h"

#include <gtest/gtest.h>

namespace invact::testing {
namespace {

using torch::jit::Source;
using torch::jit::SourceRange;
using torch::jit::StackEntry;

StackEntry entry(const std::string& text, const std::string& file, size_t first_line) {
  const auto source = std::make_shared<Source>(text, file, first_line);
  return {"forward", SourceRange(source, 0, text.size())};
}

TEST(UserSourceTest, TracedStackGivesTheFirstLineOutsideTorch) {
  const std::string stack =
      "/env/site-packages/torch/nn/modules/activation.py(734): forward\n"
      "/env/site-packages/torch/nn/modules/module.py(1787): _slow_forward\n"
      "/home/me/model (v2).py(12): forward\n"
      "/home/me/train.py(40): <module>\n";
  EXPECT_EQ(user_source({entry(stack, "/env/site-packages/torch/nn/modules/activation.py", 734)}),
            (SourceLocation{"/home/me/model (v2).py", 12}));
}

TEST(UserSourceTest, ScriptedCallStackWalksOutward) {
  EXPECT_EQ(user_source({entry("        return F.gelu(input)\n",
                               "/env/site-packages/torch/nn/modules/activation.py", 700),
                         entry("    y = self.act(x)\n", "/home/me/net.py", 8)}),
            (SourceLocation{"/home/me/net.py", 8}));
}

TEST(UserSourceTest, AllInTorchGivesTheInnermost) {
  EXPECT_EQ(user_source({entry("x", "/env/site-packages/torch/nn/a.py", 1),
                         entry("y", "/env/site-packages/torch/nn/b.py", 2)})
                .file,
            "/env/site-packages/torch/nn/a.py");
}

TEST(UserSourceTest, RangesWithoutALineAreWalkedPast) {
  EXPECT_EQ(user_source({entry("x", "/env/site-packages/torch/nn/functional.py", 2000),
                         entry("", "", 0), entry("    y = self.act(x)\n", "/home/me/net.py", 8)}),
            (SourceLocation{"/home/me/net.py", 8}));
}

TEST(UserSourceTest, NoSourceGivesLineZero) {
  EXPECT_EQ(user_source({StackEntry{"forward", SourceRange()}}).line, 0);
  EXPECT_EQ(user_source({}).line, 0);
}

TEST(CodeRangeTest, FileAndOffsets) {
  const auto source = std::make_shared<Source>("0123456789", "code/m.py", 0);
  EXPECT_EQ(code_range(SourceRange(source, 2, 5)), (CodeRange{"code/m.py", 2, 5}));
}

}  // namespace
}  // namespace invact::testing
