// Runs the program as a user does: exit codes, streams, messages for the common mistakes, files.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/catalog.h"
#include "tests/cli/commands/program.h"
#include "tests/support/models.h"

/// An operator that this test has and the program has not.
TORCH_LIBRARY(invact_test, m) {
  m.def("twice(Tensor self) -> Tensor", [](const at::Tensor& self) { return self * 2; });
}

namespace invact::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

Outcome invact(const std::string& arguments, const std::string& environment = "") {
  return run_invact(arguments, environment);
}

/// A scripted model file: needs --input.
const std::string& mlp() {
  static const std::string path =
      saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4)).record.path;
  return path;
}
const std::string kInput = " --input x=8x16";

TEST(CommandLineTest, HelpNamesCommandsAndExitsZero) {
  const Outcome help = invact("--help");
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : {"analyze", "diff", "rewrite", "verify", "bench", "ops"})
    EXPECT_THAT(help.out, HasSubstr(command));
  const Outcome analyze = invact("analyze --help");
  EXPECT_EQ(analyze.exit_code, 0);
  EXPECT_THAT(analyze.out, HasSubstr("Examples:"));
  EXPECT_THAT(analyze.out, HasSubstr("LO..HI"));
}

TEST(CommandLineTest, VersionNamesLibTorch) {
  const Outcome version = invact("--version");
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, HasSubstr("LibTorch 2."));
}

TEST(CommandLineTest, UsageErrorsExitWithTwo) {
  for (const std::string& arguments : std::vector<std::string>{
           "", "frobnicate", "analyze", "analyze --frobnicate " + mlp(), "analyze " + mlp(),
           "analyze " + mlp() + " --input y=8x16", "analyze " + mlp() + " --input x=8x16:f31",
           "analyze " + mlp() + kInput + " --device tpu",
           "analyze " + mlp() + kInput + " --mode sleep",
           "rewrite " + mlp() + kInput + " -o " + mlp(),
           "rewrite " + mlp() + kInput + " --skip relu"}) {
    const Outcome outcome = invact(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_NE(outcome.err, "") << arguments;
  }
}

TEST(CommandLineTest, NestedPlainAndOptionalInputs) {
  const Model model = saved_and_loaded(make_module("Nested", {{"w", parameter({4, 16})}}, R"(
def forward(self, batch: Dict[str, Tensor], n: int, mask: Optional[Tensor]):
    return torch.linear(batch["x"], self.w) * n
)"));
  const std::string command = "analyze " + model.record.path + " --json -";
  const Outcome outcome = invact(command + " --input batch.x=8x16 --input n=2 --input mask=none");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto inputs = nlohmann::json::parse(outcome.out).at("inputs");
  ASSERT_EQ(inputs.size(), 3u);
  EXPECT_EQ(inputs[0].at("name"), "batch.x");
  EXPECT_EQ(inputs[1].at("dtype"), "int");
  EXPECT_EQ(inputs[2].at("fill"), "none");
  const Outcome half = invact(command + " --input n=2 --input mask=none");
  EXPECT_EQ(half.exit_code, 2);
  EXPECT_THAT(half.err, HasSubstr("batch.KEY=8x128"));
}

/// The small model with invact_test::twice in the place of its gelu: TorchScript source cannot name
/// it from C++.
torch::jit::Module with_custom_operator() {
  auto module = make_mlp("torch.gelu(h)", 16, 32, 4);
  const auto graph = module.get_method("forward").graph();
  for (torch::jit::Node* node : graph->nodes()) {
    if (node->kind() != c10::Symbol::fromQualString("aten::gelu")) continue;
    torch::jit::Node* const twice =
        graph->create(c10::Symbol::fromQualString("invact_test::twice"), {node->input(0)}, 1);
    twice->insertBefore(node);
    node->output()->replaceAllUsesWith(twice->output());
    node->destroy();
    break;
  }
  return module;
}

TEST(CommandLineTest, ModelErrorsExitWithThreeAndOneSentence) {
  const std::string text = temporary_path("text.pt"), state = temporary_path("state.pt");
  std::ofstream(text) << "no archive";
  const auto pickle = torch::jit::pickle_save(at::zeros({2}));
  std::ofstream(state, std::ios::binary) << std::string(pickle.begin(), pickle.end());
  auto module = make_mlp("torch.gelu(h)", 16, 32, 4);
  module.eval();
  const std::string frozen = saved_and_loaded(torch::jit::freeze_module(module)).record.path;
  const std::string custom = saved_and_loaded(with_custom_operator()).record.path;
  const std::pair<std::string, const char*> cases[] = {
      {temporary_path("absent.pt") + kInput, "No such file"},
      {custom + kInput, "uses the operator invact_test::twice, which no loaded library provides"},
      {text + kInput, "no TorchScript archive"},
      {state + kInput, "torch.save wrote"},
      {frozen + kInput, "was frozen"},
      {mlp() + " --input x=8x17", "threw during forward"},
  };
  for (const auto& [arguments, message] : cases) {
    const Outcome outcome = invact("analyze " + arguments);
    EXPECT_EQ(outcome.exit_code, 3) << arguments << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(CommandLineTest, EnvironmentErrorsExitWithFive) {
  EXPECT_EQ(invact("analyze " + mlp() + kInput + " --ops-library absent.so").exit_code, 5);
  EXPECT_EQ(invact("analyze " + mlp() + kInput + " --json /nonexistent/report.json").exit_code, 5);
  EXPECT_EQ(invact("analyze " + mlp() + kInput + " --device cuda:77").exit_code, 5);
}

TEST(CommandLineTest, AMessageThatCannotBeWrittenLeavesTheExitCode) {
  const std::string command =
      fmt::format("{} analyze {} 2> /dev/full", INVACT_PROGRAM, temporary_path("absent.pt"));
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 3);
}

/// Text longer and shorter than the stream's buffer.
TEST(CommandLineTest, AReportThatCannotBeWrittenExitsWithFive) {
  const std::string cases[] = {"ops", "ops --json", "--help", "analyze " + mlp() + kInput};
  for (const std::string& arguments : cases) {
    const std::string command =
        fmt::format("{} {} > /dev/full 2> /dev/null", INVACT_PROGRAM, arguments);
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 5) << arguments;
  }
}

TEST(CommandLineTest, OptionsMayStandBeforeTheModel) {
  EXPECT_EQ(invact("analyze" + kInput + " " + mlp()).exit_code, 0);
  const std::string output = temporary_path("before.pt");
  EXPECT_EQ(
      invact("rewrite --skip silu --only gelu" + kInput + " -o " + output + " " + mlp()).exit_code,
      0);
}

TEST(CommandLineTest, AnalyzePrintsTheTableOnStdoutOnly) {
  const Outcome outcome = invact("analyze " + mlp() + kInput);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("KEPT FOR BACKWARD"));
  EXPECT_THAT(outcome.out, HasSubstr("accepted"));
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033"))) << "colour without a terminal";
}

TEST(CommandLineTest, ColourOnRequestAndNoColorRespected) {
  EXPECT_THAT(invact("--color always analyze " + mlp() + kInput).out, HasSubstr("\033[1m"));
  EXPECT_THAT(invact("analyze " + mlp() + kInput, "NO_COLOR=1 FORCE_COLOR=1").out,
              Not(HasSubstr("\033")));
}

TEST(CommandLineTest, AnalyzeJsonHoldsTheSameBytes) {
  const Outcome outcome = invact("analyze " + mlp() + kInput + " --json -");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto document = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(document["schema_version"], "1.1");
  EXPECT_EQ(document["totals"]["saved_bytes"], 8 * (16 + 32 + 32) * 4);
  EXPECT_EQ(document["totals"]["reclaimable_bytes"], 8 * 32 * 4 - 8 * 32 / 8);
  EXPECT_EQ(document["sites"][0]["decision"], "accepted");
  ASSERT_EQ(document["duplicates"].size(), 1u);
  EXPECT_EQ(document["duplicates"][0]["site"], document["sites"][0]["id"]);
}

TEST(CommandLineTest, AModelThatTrainsNothingIsReportedWithZeroBytes) {
  const std::string path =
      saved_and_loaded(
          make_module("Fixed", {{"w", parameter({4, 16}, false)}},
                      "def forward(self, x):\n    return torch.gelu(torch.linear(x, self.w))\n"))
          .record.path;
  const Outcome outcome = invact("analyze " + path + kInput + " --json -");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto document = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(document["totals"]["saved_bytes"], 0);
  EXPECT_EQ(document["notes"].size(), 1u);
}

TEST(CommandLineTest, RewriteWritesBesideTheModelAndVerifies) {
  const std::string output = fs::path(mlp()).replace_extension(".invact.pt");
  const std::string before = read_file(mlp());
  const Outcome rewrite = invact("rewrite " + mlp() + kInput + " --json -");
  ASSERT_EQ(rewrite.exit_code, 0) << rewrite.err;
  const auto document = nlohmann::json::parse(rewrite.out);
  EXPECT_EQ(document["verification"]["passed"], true);
  EXPECT_EQ(document["verification"]["saved_bytes_after"],
            document["prediction"]["saved_bytes_after"]);
  EXPECT_EQ(document["output"]["path"], output);
  EXPECT_EQ(read_file(mlp()), before) << "the model itself was changed";

  EXPECT_EQ(invact("verify " + mlp() + " " + output + kInput).exit_code, 0);
  const Outcome again = invact("rewrite " + mlp() + kInput);
  EXPECT_EQ(again.exit_code, 2) << "overwrote without --force";
  EXPECT_THAT(again.err, HasSubstr("--force"));
  EXPECT_EQ(invact("rewrite --force " + mlp() + kInput).exit_code, 0);
}

TEST(CommandLineTest, NothingToRewriteWritesAnEqualCopy) {
  const std::string path = saved_and_loaded(make_mlp("torch.relu(h)", 16, 32, 4)).record.path;
  const std::string output = temporary_path("copy.pt");
  const Outcome outcome = invact("rewrite " + path + kInput + " -o " + output);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("nothing to rewrite"));
  EXPECT_EQ(read_file(output), read_file(path));
}

TEST(CommandLineTest, VerifyFailsWithFourOnAnotherModel) {
  const std::string other = saved_and_loaded(make_mlp("torch.silu(h)", 16, 32, 4)).record.path;
  const Outcome outcome = invact("verify " + mlp() + " " + other + kInput);
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_THAT(outcome.out, HasSubstr("FAILED"));
}

TEST(CommandLineTest, NoTemporaryFilesRemain) {
  const fs::path folder = fs::path(temporary_path("clean"));
  fs::create_directories(folder);
  invact("rewrite " + mlp() + kInput + " -o " + (folder / "a.pt").string());
  invact("rewrite " + mlp() + " --input x=8x17 -o " + (folder / "b.pt").string());
  invact("analyze " + mlp() + kInput + " --json " + (folder / "r.json").string());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("a.pt", "r.json"));
}

TEST(CommandLineTest, OpsListsTheCatalog) {
  const auto document = nlohmann::json::parse(invact("ops --json").out);
  EXPECT_EQ(document["operators"].size(), kernels::activations().size());
  EXPECT_EQ(document["written_out"][0]["replacement"], "invact::erf_gelu");
  EXPECT_THAT(document["keeps_output_already"].dump(), HasSubstr("aten::relu"));
  const std::string table = invact("ops").out;
  for (const auto& row : kernels::activations()) EXPECT_THAT(table, HasSubstr(row.invact_op));
  for (const auto& row : kernels::norms()) EXPECT_THAT(table, HasSubstr(row.invact_op));
  EXPECT_EQ(document["activation_dropouts"].size(), kernels::activation_dropouts().size());
  EXPECT_THAT(table, HasSubstr("invact::NAME_dropout"));
  EXPECT_EQ(document["dropouts"][0]["replacement"], "invact::dropout");
  EXPECT_THAT(table, HasSubstr("invact::softsign"));
  EXPECT_THAT(table, HasSubstr("invact::squared_relu"));
  EXPECT_THAT(table, HasSubstr("aten::tanh_"));
}

TEST(CommandLineTest, RestoreUndoesARewrite) {
  const std::string rewritten = temporary_path("undo.invact.pt");
  const std::string restored = temporary_path("undo.restored.pt");
  ASSERT_EQ(invact("rewrite " + mlp() + kInput + " -o " + rewritten).exit_code, 0);
  const std::string json = temporary_path("restored.json");
  const Outcome outcome = invact("rewrite --restore " + temporary_path("undo.invact.pt") + kInput +
                                 " -o " + restored + " --json " + json);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("PASSED"));
  EXPECT_EQ(nlohmann::json::parse(read_file(json)).at("restored_operators"), 1);
  const Outcome compared = invact("verify " + mlp() + " " + restored + kInput + " --json -");
  const auto document = nlohmann::json::parse(compared.out);
  EXPECT_EQ(document.at("saved_bytes_before"), document.at("saved_bytes_after"));
  EXPECT_EQ(document.at("gradient_distance"), 0);
  // An untouched model is copied, and says so.
  const Outcome nothing =
      invact("rewrite --restore " + mlp() + " -o " + temporary_path("untouched.pt"));
  EXPECT_EQ(nothing.exit_code, 0) << nothing.err;
  EXPECT_THAT(nothing.err, HasSubstr("no operator of invact"));
  EXPECT_TRUE(read_file(mlp()) == read_file(temporary_path("untouched.pt")));
  EXPECT_EQ(invact("rewrite --restore --only gelu " + rewritten).exit_code, 2);
  EXPECT_EQ(invact("rewrite --restore " + rewritten + kInput + " -o " + rewritten).exit_code, 2);
}

TEST(CommandLineTest, RewritingTwiceGivesTheSameFile) {
  const std::string first = temporary_path("same1.pt"), second = temporary_path("same2.pt");
  ASSERT_EQ(invact("rewrite " + mlp() + kInput + " -o " + first).exit_code, 0);
  ASSERT_EQ(invact("rewrite " + mlp() + kInput + " -o " + second).exit_code, 0);
  EXPECT_TRUE(read_file(first) == read_file(second));
}

TEST(CommandLineTest, VerifyRunsEveryCaseWithEverySeed) {
  const std::string rewritten = temporary_path("cases.invact.pt");
  ASSERT_EQ(invact("rewrite " + mlp() + kInput + " -o " + rewritten).exit_code, 0);
  const std::string cases = " --case x=8x16 --case x=2x3x16 --seeds 2 --seed 5";
  const Outcome text = invact("verify " + mlp() + " " + rewritten + cases);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("RUNS (4"));
  const auto document =
      nlohmann::json::parse(invact("verify " + mlp() + " " + rewritten + cases + " --json -").out);
  ASSERT_EQ(document.at("runs").size(), 4u);
  EXPECT_EQ(document.at("runs")[3].at("seed"), 6);
  EXPECT_EQ(document.at("runs")[3].at("inputs")[0].at("shape"), (std::vector{2, 3, 16}));
  // One failing case fails the whole, and is the one shown.
  const std::string other =
      saved_and_loaded(make_mlp("torch.gelu(h) if h.dim() == 2 else torch.silu(h)", 16, 32, 4))
          .record.path;
  const Outcome failed = invact("verify " + mlp() + " " + other + cases);
  EXPECT_EQ(failed.exit_code, 4);
  EXPECT_THAT(failed.out, HasSubstr("FAILED"));
  EXPECT_EQ(invact("verify " + mlp() + " " + rewritten + kInput + " --seeds 0").exit_code, 2);
  EXPECT_EQ(invact("verify " + mlp() + " " + rewritten + " --case x=8y16").exit_code, 2);
}

/// What an HTML report carries.
nlohmann::json document_of_page(const std::string& path) {
  const std::string page = read_file(path);
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const size_t from = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(CommandLineTest, AnalyzePageCarriesTheDocument) {
  const std::string page = temporary_path("html"), json = temporary_path("json");
  const std::string trace = temporary_path("trace");
  const Outcome analyze = invact("analyze " + mlp() + kInput + " --html " + page + " --trace " +
                                 trace + " --json " + json);
  EXPECT_EQ(analyze.exit_code, 0) << analyze.err;
  const auto document = document_of_page(page);
  EXPECT_EQ(document.at("report"), nlohmann::json::parse(read_file(json)));
  EXPECT_EQ(document.at("after"), nullptr);
  EXPECT_EQ(document.at("left_out").size(), 0u);
  EXPECT_GE(nlohmann::json::parse(read_file(trace)).at("traceEvents").size(), 3u);
}

TEST(CommandLineTest, RewritePageShowsBothModels) {
  const std::string page = temporary_path("html");
  const Outcome rewrite = invact("rewrite " + mlp() + kInput + " -o " + temporary_path("pt") +
                                 " --force --html " + page);
  EXPECT_EQ(rewrite.exit_code, 0) << rewrite.err;
  const auto document = document_of_page(page);
  EXPECT_EQ(document.at("after").at("totals").at("saved_bytes"),
            document.at("report").at("prediction").at("saved_bytes_after"));
  EXPECT_TRUE(document.at("verification").at("passed").get<bool>());
  EXPECT_EQ(document.at("verification").at("gradients").size(), 1u);
  EXPECT_GT(document.at("verification").at("gradients_compared").get<int>(), 1);
}

TEST(CommandLineTest, PicturesAreNotWrittenToStdout) {
  for (const std::string flag : {" --html -", " --trace -"}) {
    EXPECT_EQ(invact("analyze " + mlp() + kInput + flag).exit_code, 2) << flag;
  }
}

TEST(CommandLineTest, TextFollowsLocaleAndColumns) {
  const std::string command = "analyze " + mlp() + kInput;
  const Outcome ascii = invact(command, "LC_ALL=C COLUMNS=60");
  EXPECT_TRUE(std::all_of(ascii.out.begin(), ascii.out.end(),
                          [](unsigned char byte) { return byte < 0x80; }));
  EXPECT_THAT(ascii.out, HasSubstr("  ########  (top)"));
  EXPECT_THAT(invact(command, "LC_ALL=C.UTF-8 COLUMNS=76").out, HasSubstr("  ████████  (top)"));
}

}  // namespace
}  // namespace invact::testing
