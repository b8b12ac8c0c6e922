// `invact diff` and the CI flags of `analyze`, run as a CI job runs them: exit codes, streams,
// files.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/cli/commands/program.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kInput = " --input x=8x16 ";

/// Keeps x, h and gelu(h): 8 * (16 + 32 + 32) floats, of which h twice.
const std::string& small_model() {
  static const std::string path =
      saved_and_loaded(make_mlp("torch.gelu(h)", 16, 32, 4)).record.path;
  return path;
}

/// The same with a layer more: sin saves gelu(h), which is saved already, and the last layer sin's
/// result: 8 * 32 floats more.
const std::string& larger_model() {
  static const std::string path =
      saved_and_loaded(make_mlp("torch.sin(torch.gelu(h))", 16, 32, 4)).record.path;
  return path;
}

std::string report_of(const std::string& model, const std::string& name,
                      const std::string& flags = "") {
  const std::string path = temporary_path(name);
  const Outcome outcome = run_invact("analyze " + model + kInput + flags + " --json " + path);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return path;
}

const std::string& small_json() {
  static const std::string path = report_of(small_model(), "small.json");
  return path;
}
const std::string& larger_json() {
  static const std::string path = report_of(larger_model(), "larger.json");
  return path;
}

TEST(DiffCommandTest, AReportEqualsItself) {
  const Outcome outcome = run_invact("diff " + small_json() + " " + small_json());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Nothing changed: 3 rows"));
  EXPECT_EQ(outcome.err, "");
}

TEST(DiffCommandTest, ShowsTheRowThatCameAndTheTotal) {
  const std::string files = "diff " + small_json() + " " + larger_json();
  const Outcome text = run_invact(files);
  EXPECT_EQ(text.exit_code, 0) << "a change is no failure unless a gate was asked for";
  EXPECT_THAT(text.out, AllOf(HasSubstr("+1.0 KiB"), HasSubstr("TOTAL")));
  const Outcome document = run_invact(files + " --json -");
  const json diff = json::parse(document.out);
  EXPECT_EQ(diff["totals"]["saved_bytes"]["change"], 8 * 32 * 4);
  int64_t sum = 0;
  for (const auto& row : diff["rows"]) sum += row["change_bytes"].get<int64_t>();
  EXPECT_EQ(sum, 8 * 32 * 4);
}

TEST(AnalyzeCiTest, ThePrefixOfASourceIsDroppedOnce) {
  // Code that begins as the tracer's stacks do, in a folder whose name comes twice.
  const std::string model =
      saved_and_loaded(make_module("m", {{"w", parameter({4, 16})}},
                                   "# d/# d/net.py(3): forward\n"
                                   "def forward(self, x):\n"
                                   "    return torch.gelu(torch.linear(x, self.w)).sin()\n"))
          .record.path;
  const std::string sarif = temporary_path("prefix.sarif");
  const Outcome outcome =
      run_invact("analyze " + model + kInput + " --strip-prefix '# d/' --json - --sarif " + sarif);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  ASSERT_FALSE(document["duplicates"].empty());
  EXPECT_EQ(document["duplicates"][0]["source"]["file"], "# d/net.py");
  EXPECT_THAT(read_file(sarif), HasSubstr("d/net.py\""));
}

TEST(DiffCommandTest, GrowthGateClosesWithOneAndNamesItself) {
  const std::string files = "diff " + small_json() + " " + larger_json();
  EXPECT_EQ(run_invact(files + " --max-growth 1KiB").exit_code, 0);
  for (const char* limit : {"1023", "5%"}) {
    const Outcome outcome = run_invact(files + " --quiet --max-growth " + limit);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, StartsWith("invact: gate --max-growth failed: "));
    EXPECT_THAT(outcome.out, HasSubstr("FAILED"));
  }
  // Less is never a failure.
  EXPECT_EQ(run_invact("diff " + larger_json() + " " + small_json() + " --max-growth 0%").exit_code,
            0);
}

TEST(DiffCommandTest, MistakesEndWithTwoAndOneSentence) {
  const std::string text = temporary_path("no.json"), newer = temporary_path("newer.json"),
                    plan = temporary_path("plan.json");
  std::ofstream(text) << "no report";
  json document = json::parse(read_file(small_json()));
  document["schema_version"] = "2.0";
  std::ofstream(newer) << document.dump();
  run_invact("rewrite " + small_model() + kInput + "-o " + temporary_path("ci.invact.pt") +
             " --json " + plan);
  const std::string eval = report_of(small_model(), "eval.json", "--mode eval");
  const std::pair<std::string, const char*> cases[] = {
      {temporary_path("absent.json"), "No such file"},
      {text, "is not JSON"},
      {newer, "has schema_version 2.0"},
      {plan, "is no report of invact analyze"},
      {small_model(), "is not JSON"},
      {eval, "mode (eval / train)"},
  };
  for (const auto& [file, message] : cases) {
    const Outcome outcome = run_invact("diff " + file + " " + small_json());
    EXPECT_EQ(outcome.exit_code, 2) << file << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(run_invact("diff " + small_json()).exit_code, 2) << "one report";
  const Outcome allowed =
      run_invact("diff --allow-different " + eval + " " + small_json() + " --json -");
  EXPECT_EQ(json::parse(allowed.out)["setup_differences"][0]["what"], "mode");
}

TEST(AnalyzeGatesTest, EachFailedGateIsNamedAndTheReportIsWritten) {
  const std::string report = temporary_path("gates.json");
  const Outcome outcome =
      run_invact("analyze " + larger_model() + kInput + "--baseline " + small_json() +
                 " --max-growth 10% --max-saved 1GiB --max-duplicate 1kB --json " + report);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("invact: gate --max-growth failed: "),
                                 HasSubstr("invact: gate --max-duplicate failed: "),
                                 Not(HasSubstr("max-saved"))));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("KEPT FOR BACKWARD"), HasSubstr("WHAT CHANGED"),
                                 HasSubstr("FAILED  max-growth"), HasSubstr("passed  max-saved")));
  const json gates = json::parse(read_file(report))["gates"];
  ASSERT_EQ(gates.size(), 3u);
  EXPECT_EQ(gates[0]["passed"], true);
  EXPECT_EQ(gates[1]["actual_bytes"], 8 * 32 * 4);
  EXPECT_EQ(gates[2]["actual_bytes"], 8 * 32 * 4);
}

TEST(AnalyzeGatesTest, WithoutALimitABaselineFailsNothing) {
  const Outcome outcome =
      run_invact("analyze " + larger_model() + kInput + "--baseline " + small_json());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("WHAT CHANGED"));
}

TEST(AnalyzeGatesTest, APeakThatWasNotRecordedIsNoPass) {
  // Nothing to train, so no step is run and there is no peak.
  const std::string path =
      saved_and_loaded(
          make_module("Fixed", {{"w", parameter({4, 16}, false)}},
                      "def forward(self, x):\n    return torch.gelu(torch.linear(x, self.w))\n"))
          .record.path;
  const Outcome outcome = run_invact("analyze " + path + kInput + "--max-peak 1TiB");
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_THAT(outcome.err, HasSubstr("--max-peak 1TiB cannot be judged"));
}

TEST(AnalyzeGatesTest, MistakesEndWithTwo) {
  const std::string analyze = "analyze " + small_model() + kInput;
  const std::pair<std::string, const char*> cases[] = {
      {"--max-saved 64M", "--max-saved '64M' is no size"},
      {"--max-growth 5%", "--max-growth requires --baseline"},
      {"--baseline absent.json", "Cannot read the report 'absent.json'"},
      {"--baseline " + small_model(), "is not JSON"},
      {"--junit gates.xml", "--junit reports gates and none was asked for"},
      {"--json - --sarif -", "Only one of"},
      {"--baseline " + report_of(small_model(), "eval2.json", "--mode eval"),
       "mode (eval / train)"},
  };
  for (const auto& [flags, message] : cases) {
    const Outcome outcome = run_invact(analyze + flags);
    EXPECT_EQ(outcome.exit_code, 2) << flags << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.out, "") << flags;
  }
}

TEST(AnalyzeFormatsTest, StdoutStaysOneDocument) {
  const std::string analyze = "analyze " + small_model() + kInput + "--github --max-saved 1kB ";
  const Outcome report = run_invact(analyze + "--json -");
  EXPECT_EQ(json::parse(report.out)["gates"][0]["passed"], false);
  EXPECT_THAT(report.err, AllOf(HasSubstr("::error title=invact gate/max-saved::"),
                                HasSubstr("title=invact kept-twice/activation::")));
  const Outcome sarif = run_invact(analyze + "--sarif -");
  EXPECT_EQ(json::parse(sarif.out)["runs"][0]["results"].size(), 2u);
  EXPECT_THAT(run_invact(analyze + "--junit -").out, StartsWith("<?xml"));
  EXPECT_THAT(run_invact(analyze + "--summary -").out, StartsWith("## invact: "));
}

TEST(AnalyzeFormatsTest, FilesAreWrittenThoughAGateFailed) {
  const std::string sarif = temporary_path("ci.sarif"), junit = temporary_path("ci.xml");
  EXPECT_EQ(run_invact("analyze " + small_model() + kInput + "--max-saved 1kB --sarif " + sarif +
                       " --junit " + junit)
                .exit_code,
            1);
  EXPECT_EQ(json::parse(read_file(sarif))["version"], "2.1.0");
  EXPECT_THAT(read_file(junit), HasSubstr("failures=\"1\""));
}

TEST(AnalyzeFormatsTest, SummaryIsAppendedToGitHubsFileAlone) {
  const std::string path = temporary_path("summary.md");
  const std::string analyze = "analyze " + small_model() + kInput + "--summary " + path;
  std::ofstream(path) << "Of another command.\n";
  EXPECT_EQ(run_invact(analyze, "GITHUB_STEP_SUMMARY=" + path).exit_code, 0);
  EXPECT_THAT(read_file(path),
              AllOf(StartsWith("Of another command.\n## invact: "), HasSubstr("### Kept twice")));
  EXPECT_EQ(run_invact(analyze).exit_code, 0);
  EXPECT_THAT(read_file(path), StartsWith("## invact: "));
}

}  // namespace
}  // namespace invact::testing
