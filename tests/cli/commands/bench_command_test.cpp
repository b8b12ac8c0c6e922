// `invact bench`, run as a user does: what its document says, and its messages. How long a step
// takes is no test's business.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/commands/program.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kInput = " --input x=8x16 ";

const std::string& model() {
  static const std::string path =
      saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4)).record.path;
  return path;
}

const std::string& rewritten() {
  static const std::string path = [] {
    const std::string output = temporary_path("bench.invact.pt");
    EXPECT_EQ(run_invact("rewrite " + model() + kInput + " -o " + output).exit_code, 0);
    return output;
  }();
  return path;
}

json document_of(const std::string& arguments) {
  const Outcome outcome = run_invact("bench " + arguments + kInput + " --json -");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return json::parse(outcome.out);
}

TEST(BenchCommandTest, MeasuresBothInTurn) {
  const json document = document_of(model() + " " + rewritten() + " --pairs 3 --warmup 1");
  EXPECT_EQ(document.at("pairs"), 3);
  EXPECT_EQ(document.at("warmup"), 1);
  EXPECT_EQ(document.at("inputs")[0].at("shape"), (std::vector{8, 16}));
  const json& original = document.at("original");
  EXPECT_EQ(original.at("saved_bytes"), 8 * (16 + 32 + 32) * 4);
  EXPECT_EQ(document.at("rewritten").at("saved_bytes"), 8 * (16 + 32) * 4 + 8 * 32 / 8);
  EXPECT_EQ(document.at("ratio").at("samples").size(), 3u);
  for (const char* side : {"original", "rewritten"}) {
    const json& times = document.at(side).at("step_ns");
    EXPECT_EQ(times.at("samples").size(), 3u);
    for (const json& sample : times.at("samples")) EXPECT_GT(sample.get<int64_t>(), 0);
    EXPECT_LE(times.at("lower_quartile"), times.at("median"));
    EXPECT_LE(times.at("median"), times.at("upper_quartile"));
    EXPECT_EQ(document.at(side).at("model").at("parameter_bytes"), (16 * 32 + 32 * 4) * 4);
  }
}

TEST(BenchCommandTest, PeakIsThatOfAnalyze) {
  const json analyzed =
      json::parse(run_invact("analyze " + model() + kInput + " --json -").out).at("timeline");
  const json side = document_of(model() + " --pairs 1").at("original");
  EXPECT_EQ(side.at("peak_bytes"), analyzed.at("peak").at("bytes"));
  EXPECT_EQ(side.at("peak_phase"), analyzed.at("peak").at("phase"));
  EXPECT_EQ(side.at("peak_op"), analyzed.at("peak").at("op"));
}

TEST(BenchCommandTest, AModelAlone) {
  const json document = document_of(model() + " --pairs 2 --warmup 0");
  EXPECT_TRUE(document.at("rewritten").is_null());
  EXPECT_TRUE(document.at("ratio").is_null());
  EXPECT_EQ(document.at("original").at("step_ns").at("samples").size(), 2u);
}

TEST(BenchCommandTest, RunsAsAskedFor) {
  const std::string flags = " --executor default --autocast bf16 --threads 1 --seed 9 --mode eval";
  const json document = document_of(model() + " " + rewritten() + " --pairs 1" + flags);
  const json analyzed =
      json::parse(run_invact("analyze " + model() + kInput + flags + " --json -").out);
  EXPECT_EQ(document.at("run"), analyzed.at("run"));
  EXPECT_EQ(document.at("run").at("executor"), "default");
  EXPECT_EQ(document.at("run").at("threads"), 1);
  EXPECT_EQ(document.at("original").at("saved_bytes"), analyzed.at("totals").at("saved_bytes"));
}

TEST(BenchCommandTest, TableOnStdoutWarningsOnStderr) {
  const Outcome outcome = run_invact("bench " + model() + " " + rewritten() + kInput + "--pairs 2");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("TIME OF A STEP (forward and backward; 2 pairs in turn"),
                                 HasSubstr("ratio"), HasSubstr("MEMORY OF A STEP")));
  EXPECT_THAT(outcome.err, HasSubstr("invact: Only 2 pairs"));
  EXPECT_EQ(run_invact("-q bench " + model() + kInput + "--pairs 2").err, "");
  const std::string file = temporary_path("bench.json");
  EXPECT_THAT(run_invact("bench " + model() + kInput + "--pairs 1 --json " + file).out,
              HasSubstr("TIME OF A STEP"));
  EXPECT_THAT(json::parse(read_file(file)).at("notes")[0].get<std::string>(),
              HasSubstr("Only 1 step"));
}

TEST(BenchCommandTest, AModelThatTrainsNothingRunsForwardAlone) {
  const std::string path =
      saved_and_loaded(make_module("Fixed", {{"w", parameter({4, 16}, false)}},
                                   "def forward(self, x):\n    return torch.linear(x, self.w)\n"))
          .record.path;
  const json document = document_of(path + " --pairs 15");
  EXPECT_EQ(document.at("original").at("saved_bytes"), 0);
  EXPECT_THAT(document.at("notes").dump(), HasSubstr("forward alone"));
  EXPECT_THAT(document.at("notes").dump(), Not(HasSubstr("Only")));
}

TEST(BenchCommandTest, ErrorsExitAsOfTheOtherCommands) {
  const std::string absent = temporary_path("absent.pt");
  const std::pair<std::string, int> cases[] = {
      {"", 2},
      {model(), 2},  // a scripted model without --input
      {model() + kInput + "--pairs 0", 2},
      {model() + kInput + "--warmup -1", 2},
      {absent + kInput, 3},
      {model() + " " + absent + kInput, 3},
      {model() + " --input x=8x17 --pairs 1", 3},
      {model() + kInput + "--device cuda:77", 5},
      {model() + kInput + "--pairs 1 --json /nonexistent/bench.json", 5},
  };
  for (const auto& [arguments, exit_code] : cases) {
    const Outcome outcome = run_invact("bench " + arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << arguments << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_NE(outcome.err, "") << arguments;
  }
}

}  // namespace
}  // namespace invact::testing
