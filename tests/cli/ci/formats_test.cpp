// The formats that CI services read. Whether a whole file is valid is for their own readers (XML
// parser, JSON Schema: tests/cli/ci/golden_documents_test.py); here: what is in them, and what is escaped.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/ci/formats/findings.h"
#include "cli/ci/formats/formats.h"
#include "cli/render/render.h"
#include "tests/cli/ci/synthetic_report.h"
#include "tests/support/golden.h"

namespace invact::testing {
namespace {

using nlohmann::ordered_json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A report in which `count` storages are saved twice, the largest first.
CiResult many_duplicates(int64_t count) {
  CiResult result;
  result.report = small_report("this run");
  result.report.duplicates.clear();
  for (int64_t i = 0; i < count; ++i) {
    const Place place{fmt::format("block{}", i), "aten::gelu", {"net.py", 1 + i}};
    result.report.duplicates.push_back({"activation", 1000 * (count - i), place, "Do this."});
  }
  return result;
}

TEST(FindingsTest, FailedGatesFirstThenTheLargestDuplicates) {
  const auto list = findings(ci_result());
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[0].rule_id, "gate/max-duplicate");
  EXPECT_EQ(list[1].rule_id, "gate/max-growth");
  EXPECT_EQ(list[2].bytes, 4 << 20);
  EXPECT_EQ(list[4].rule_id, "kept-twice/gate");
}

TEST(SarifTest, Golden) {
  expect_golden(sarif_document(ci_result()).dump(2) + "\n", "ci.sarif");
}

TEST(SarifTest, UrisAreEncodedAndRelativeToTheirBase) {
  const auto results = sarif_document(ci_result())["runs"][0]["results"];
  const auto uri = [&](size_t i) {
    return results[i]["locations"][0]["physicalLocation"]["artifactLocation"];
  };
  EXPECT_EQ(uri(0), (ordered_json{{"uri", "models/a%20b.pt"}, {"uriBaseId", "%SRCROOT%"}}));
  EXPECT_EQ(uri(2)["uri"], "src/50%25%2C%20a%3Ab%7Cc.py");
  EXPECT_EQ(uri(3), (ordered_json{{"uri", "file:///src/net.py"}}));
  EXPECT_EQ(uri(4)["uri"], "models/a%20b.pt") << "a source that is unknown";
}

TEST(SarifTest, FingerprintsOutliveMovedLinesAndDifferForEveryResult) {
  CiResult result = many_duplicates(20);
  for (size_t i = 10; i < 20; ++i) result.report.duplicates[i].place.module = "shared";
  const auto prints = [](const CiResult& of) {
    const auto results = sarif_document(of)["runs"][0]["results"];
    std::vector<std::string> list;
    for (const auto& entry : results) {
      list.push_back(entry["partialFingerprints"]["primaryLocationLineHash"]);
    }
    return list;
  };
  const auto before = prints(result);
  EXPECT_EQ(std::set<std::string>(before.begin(), before.end()).size(), 20u);
  EXPECT_THAT(before[19], EndsWith(":10"));
  for (auto& duplicate : result.report.duplicates) duplicate.place.source.line += 100;
  EXPECT_EQ(prints(result), before);
}

TEST(SarifTest, StaysWithinWhatGitHubShows) {
  const auto run = sarif_document(many_duplicates(5003))["runs"][0];
  EXPECT_EQ(run["results"].size(), kMaxSarifResults);
  EXPECT_THAT(run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
              HasSubstr("3 smaller results"));
  const auto none = sarif_document(many_duplicates(0))["runs"][0];
  EXPECT_TRUE(none["results"].is_array()) << "null would mean that the tool did not run";
  EXPECT_TRUE(none["results"].empty());
}

TEST(JunitTest, Golden) {
  const CiResult result = ci_result();
  expect_golden(junit_xml(result, render_diff(*result.diff, {})), "ci.junit.xml");
}

TEST(JunitTest, EscapesWhatXmlReservesAndForbids) {
  EXPECT_EQ(xml_content("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; 'd'");
  EXPECT_EQ(xml_content(std::string("\x01\x1b[1m\r\0", 7)), "??[1m??");
  EXPECT_EQ(xml_content("µ]]>\n\t"), "µ]]&gt;\n\t");
  EXPECT_EQ(xml_attribute("a\nb\tc\" <\r"), "a&#10;b&#9;c&quot; &lt;?");
}

TEST(GithubTest, Golden) {
  expect_golden(github_annotations(ci_result()), "ci.github.txt");
}

TEST(GithubTest, TenLinesAtMostAndTheLastCountsTheRest) {
  const auto lines = [](int64_t duplicates) {
    const std::string text = github_annotations(many_duplicates(duplicates));
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_EQ(lines(0), 0);
  EXPECT_EQ(lines(9), 9);
  EXPECT_EQ(lines(10), 10);
  EXPECT_EQ(lines(11), 10);
  EXPECT_EQ(lines(500), 10);
  EXPECT_THAT(github_annotations(many_duplicates(10)), Not(HasSubstr("more places")));
  // 11: the two smallest, of 2000 and 1000 bytes, are summed.
  EXPECT_THAT(github_annotations(many_duplicates(11)),
              EndsWith("::notice title=invact::and 2 more places where 2.9 KiB are kept twice\n"));
}

TEST(GithubTest, NothingInATextEndsOrForgesACommand) {
  CiResult result = many_duplicates(1);
  result.report.duplicates[0].place.module = "a\n::error::forged";
  result.report.duplicates[0].place.source.file = "a,b:c\r\n::error::.py";
  const std::string text = github_annotations(result);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, StartsWith("::warning file=a%2Cb%3Ac%0D%0A%3A%3Aerror%3A%3A.py,line=1,title="));
  EXPECT_THAT(text, HasSubstr("in a%0A::error::forged. Do this."));
}

TEST(MarkdownTest, Golden) {
  expect_golden(markdown_summary(ci_result(), 2), "ci.summary.md");
}

TEST(MarkdownTest, CodeSpansMayStandInTables) {
  EXPECT_EQ(markdown_code("a.b"), "`a.b`");
  EXPECT_EQ(markdown_code("a|b"), "`a\\|b`");
  EXPECT_EQ(markdown_code("a`b``c"), "``` a`b``c ```");
  EXPECT_EQ(markdown_code("a\nb"), "`a b`");
}

}  // namespace
}  // namespace invact::testing
