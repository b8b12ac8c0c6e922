// `invact rewrite --write-plan`, `--plan` and `--exact`: write, edit, apply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/cli/commands/program.h"
#include "tests/support/models.h"

namespace invact::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

const std::string kInput = " --input x=8x16";

/// Two sites that gain, and one whose output is not saved.
const std::string& model() {
  static const std::string path =
      saved_and_loaded(make_module("Three", {{"w", parameter({16, 16})}}, R"(
def forward(self, x):
    y = torch.linear(torch.gelu(torch.linear(x, self.w)), self.w)
    z = torch.linear(torch.relu6(y), self.w)
    return torch.silu(z).sum()
)"))
          .record.path;
  return path;
}

/// The plan of model(), changed by `edit`, as a file.
std::string edited_plan(const std::function<void(Json&)>& edit) {
  const std::string path = temporary_path("plan.json");
  const Outcome outcome = run_invact("rewrite " + model() + kInput + " --write-plan " + path);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  Json document = Json::parse(read_file(path));
  edit(document);
  std::ofstream(path) << document.dump();
  return path;
}

Outcome rewrite_by(const std::string& plan, const std::string& flags = "") {
  return run_invact("rewrite " + model() + kInput + " --plan " + plan + " -o " +
                    temporary_path("planned.pt") + " --force " + flags);
}

TEST(PlanFileTest, WritesThePlanAndNoModel) {
  const std::string output = temporary_path("none.pt");
  const std::string path = temporary_path("written_plan.json");
  const Outcome outcome =
      run_invact("rewrite " + model() + kInput + " -o " + output + " --write-plan " + path);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("SITES"));
  EXPECT_THAT(outcome.err, HasSubstr("and no model"));
  EXPECT_FALSE(fs::exists(output));
  const Json document = Json::parse(read_file(path));
  EXPECT_EQ(document["plan"].size(), 3u);
  EXPECT_TRUE(document["output"].is_null());
}

TEST(PlanFileTest, AppliesWhatItAcceptsAndNothingElse) {
  const std::string plan =
      edited_plan([](Json& document) { document["plan"][0]["decision"] = "rejected"; });
  const std::string json = temporary_path("applied.json");
  const Outcome outcome = rewrite_by(plan, "--json " + json);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json document = Json::parse(read_file(json));
  EXPECT_EQ(document["plan"][0]["reason_code"], "excluded");
  EXPECT_EQ(document["plan"][1]["decision"], "accepted");
  EXPECT_EQ(document["prediction"]["saved_bytes_before"].get<int64_t>() -
                document["prediction"]["saved_bytes_after"].get<int64_t>(),
            8 * 16 * 4);
}

TEST(PlanFileTest, ASiteThatCannotBeAcceptedIsAnError) {
  const Outcome outcome =
      rewrite_by(edited_plan([](Json& document) { document["plan"][2]["decision"] = "accepted"; }));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("[output_not_kept]"));
}

TEST(PlanFileTest, FilesThatAreNoPlanOfThisModelAreErrors) {
  const auto refused = [](const std::string& plan, const char* why) {
    const Outcome outcome = rewrite_by(plan);
    EXPECT_EQ(outcome.exit_code, 2) << why;
    EXPECT_THAT(outcome.err, HasSubstr(why));
    EXPECT_EQ(outcome.out, "");
  };
  refused(temporary_path("absent.json"), "no such file");
  const std::string text = temporary_path("text.json");
  std::ofstream(text) << "plan";
  refused(text, "it is not JSON");
  refused(edited_plan([](Json& document) { document.erase("plan"); }), "`plan` is missing");
  refused(edited_plan([](Json& document) { document["plan"] = {1}; }), "lacks `id`");
  refused(edited_plan([](Json& document) { document["plan"][0]["decision"] = "perhaps"; }),
          "neither accepted nor rejected");
  refused(edited_plan([](Json& document) { document["plan"][0]["id"] = "gone/forward#1"; }),
          "which this model lacks");
  refused(edited_plan([](Json& document) { document["model"]["sha256"] = "0"; }), "another model");
}

TEST(PlanFileTest, ExactTakesWhatLeavesGradientsAlone) {
  const std::string json = temporary_path("exact.json");
  const Outcome outcome = run_invact("rewrite " + model() + kInput + " --exact --json " + json +
                                     " -o " + temporary_path("exact.pt") + " --force");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json document = Json::parse(read_file(json));
  EXPECT_EQ(document["plan"][0]["strategy"], "recompute");
  EXPECT_EQ(document["plan"][0]["decision"], "accepted");
  EXPECT_EQ(document["plan"][1]["decision"], "accepted");
  EXPECT_EQ(document["verification"]["gradient_distance"], 0.0);
  EXPECT_EQ(document["verification"]["gradient_tolerance"], 0.0);
}

TEST(PlanFileTest, ABudgetThatCannotBeReachedFailsAndWritesNothing) {
  const std::string output = temporary_path("budget.pt");
  fs::remove(output);
  const std::string rewrite = "rewrite " + model() + kInput + " -o " + output + " --budget ";
  const Outcome missed = run_invact(rewrite + "1KiB");
  EXPECT_EQ(missed.exit_code, 1);
  EXPECT_THAT(missed.err, HasSubstr("--budget 1KiB: at least "));
  EXPECT_FALSE(fs::exists(output));
  EXPECT_EQ(run_invact(rewrite + "90%").exit_code, 0);
  EXPECT_TRUE(fs::exists(output));
  EXPECT_EQ(run_invact(rewrite + "much --force").exit_code, 2);
}

TEST(PlanFileTest, OneStrategyAlone) {
  const std::string json = temporary_path("strategy.json");
  const std::string rewrite = "rewrite " + model() + kInput + " --json " + json + " -o " +
                              temporary_path("strategy.pt") + " --force --strategy ";
  ASSERT_EQ(run_invact(rewrite + "recompute").exit_code, 0);
  int accepted = 0;
  const Json document = Json::parse(read_file(json));
  for (const Json& site : document["plan"]) {
    if (site["decision"] != "accepted") continue;
    EXPECT_EQ(site["strategy"], "recompute");
    ++accepted;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(run_invact(rewrite + "inverse").exit_code, 2);
}

TEST(PlanFileTest, FlagsThatDecideTwiceAreRefused) {
  for (const char* flags : {"--only gelu", "--skip gelu", "--restore", "--write-plan other.json"}) {
    EXPECT_EQ(rewrite_by("plan.json", flags).exit_code, 2) << flags;
  }
}

}  // namespace
}  // namespace invact::testing
