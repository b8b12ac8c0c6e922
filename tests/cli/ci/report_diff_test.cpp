#include "cli/ci/report_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "analyzer/error.h"
#include "analyzer/reporting/json.h"
#include "cli/ci/formats/formats.h"
#include "cli/render/render.h"
#include "tests/cli/ci/synthetic_report.h"
#include "tests/support/golden.h"

namespace invact::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ReportDiffTest, RowsGrowShrinkComeAndGo) {
  const ReportDiff diff = diff_reports(small_report("old.json"), changed_report(), false);
  ASSERT_EQ(diff.rows.size(), 4u);
  const auto kinds = {ChangeKind::kNew, ChangeKind::kGone, ChangeKind::kShrank, ChangeKind::kGrew};
  EXPECT_TRUE(std::equal(diff.rows.begin(), diff.rows.end(), kinds.begin(),
                         [](const DiffRow& row, ChangeKind kind) { return row.kind() == kind; }))
      << render_diff(diff, {});
  EXPECT_EQ(row_text(diff.rows[0]), "aten::gelu in extra|one");
  EXPECT_EQ(row_text(diff.rows[2]), "aten::linear #2 in (top)");
  EXPECT_EQ(diff.rows[2].change(), -(1 << 19));
  EXPECT_EQ(diff.unchanged_rows, 1);
  EXPECT_EQ(diff.unchanged_bytes, 3 << 20);
  EXPECT_EQ(diff.sum(ChangeKind::kGrew), (ChangeSum{1, 512}));
  EXPECT_EQ(diff.sum(ChangeKind::kGone), (ChangeSum{1, -(1 << 20)}));
}

TEST(ReportDiffTest, SlotsFollowForwardOrderNotBytes) {
  ReportFile old_report = small_report("old.json");
  ReportFile new_report = old_report;
  // The document lists rows by bytes: the order of the array must not matter.
  std::reverse(new_report.storages.begin(), new_report.storages.end());
  EXPECT_TRUE(diff_reports(old_report, new_report, false).rows.empty());
  EXPECT_THAT(render_diff(diff_reports(old_report, new_report, false), {}),
              HasSubstr("Nothing changed: 4 rows"));
}

TEST(ReportDiffTest, UnattributedRowsAreNotTheTopModules) {
  ReportFile old_report = small_report("old.json");
  ReportFile new_report = old_report;
  new_report.storages[0].place.module = std::nullopt;
  const ReportDiff diff = diff_reports(old_report, new_report, false);
  EXPECT_EQ(diff.change(), 0);
  // Its slot moves: of two linears in the top module one is left.
  EXPECT_EQ(diff.sum(ChangeKind::kNew).rows, 1);
  EXPECT_EQ(diff.sum(ChangeKind::kGone).rows, 1);
}

/// A report of up to forty rows over few modules and operators, so that keys collide.
ReportFile random_report(std::mt19937& random) {
  ReportFile report = small_report("random");
  report.storages.clear();
  report.totals = {};
  const char* const modules[] = {"", "a", "a.b", "c"};
  const char* const ops[] = {"aten::linear", "aten::gelu", "aten::mul"};
  const auto below = [&](size_t limit) { return random() % limit; };
  for (size_t rows = below(40); rows > 0; --rows) {
    add_storage(report, modules[below(4)], ops[below(3)], static_cast<int64_t>(below(5) * 1000));
    if (below(8) == 0) report.storages.back().place.module = std::nullopt;
  }
  std::shuffle(report.storages.begin(), report.storages.end(), random);
  return report;
}

TEST(ReportDiffTest, RowsSumToTheChangeOfTheTotal) {
  const unsigned seed = 20240715;
  std::mt19937 random(seed);
  for (int run = 0; run < 500; ++run) {
    SCOPED_TRACE(fmt::format("seed {}, run {}", seed, run));
    const ReportFile before = random_report(random), after = random_report(random);
    const ReportDiff diff = diff_reports(before, after, false);
    const int64_t change = after.totals.saved_bytes - before.totals.saved_bytes;
    int64_t by_rows = 0, by_kinds = 0, changed_rows = 0;
    for (const DiffRow& row : diff.rows) {
      by_rows += row.change();
      // Rows of 0 bytes that come or go are changes of nothing, and listed all the same.
      EXPECT_TRUE(row.change() != 0 || !row.old_bytes || !row.new_bytes);
    }
    for (const ChangeKind kind : kChangeKinds) {
      by_kinds += diff.sum(kind).bytes;
      changed_rows += diff.sum(kind).rows;
    }
    EXPECT_EQ(by_rows, change);
    EXPECT_EQ(by_kinds, change);
    EXPECT_EQ(diff.change(), change);
    EXPECT_EQ(changed_rows, static_cast<int64_t>(diff.rows.size()));
    // Every row of both reports is in exactly one class.
    const auto rows = [&](ChangeKind kind) { return diff.sum(kind).rows; };
    const int64_t common =
        diff.unchanged_rows + rows(ChangeKind::kGrew) + rows(ChangeKind::kShrank);
    EXPECT_EQ(common + rows(ChangeKind::kGone), static_cast<int64_t>(before.storages.size()));
    EXPECT_EQ(common + rows(ChangeKind::kNew), static_cast<int64_t>(after.storages.size()));
    EXPECT_TRUE(std::is_sorted(
        diff.rows.begin(), diff.rows.end(),
        [](const auto& a, const auto& b) { return std::abs(a.change()) > std::abs(b.change()); }));
  }
}

TEST(ReportDiffTest, DifferentRunsAreRefusedByName) {
  const RunSetup setup = small_report("").setup;
  const std::pair<const char*, void (*)(RunSetup&)> cases[] = {
      {"inputs (x: float32 8x16, randn / none)", [](RunSetup& other) { other.inputs.clear(); }},
      {"device (cpu / cuda)", [](RunSetup& other) { other.device = "cuda"; }},
      {"mode (train / eval)", [](RunSetup& other) { other.mode = "eval"; }},
      {"executor (eager / default)", [](RunSetup& other) { other.executor = "default"; }},
      {"autocast (off / bf16)", [](RunSetup& other) { other.autocast = "bf16"; }},
      {"LibTorch (2.11.0 / 2.15.0)", [](RunSetup& other) { other.libtorch = "2.15.0"; }},
  };
  for (const auto& [message, change] : cases) {
    ReportFile other = small_report("new.json");
    change(other.setup);
    try {
      diff_reports(small_report("old.json"), other, false);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(message), HasSubstr("--allow-different"),
                                      HasSubstr("'old.json' and 'new.json'")));
    }
    const ReportDiff allowed = diff_reports(small_report("old.json"), other, true);
    EXPECT_EQ(allowed.setup.size(), 1u);
    EXPECT_THAT(render_diff(allowed, {}), HasSubstr("bytes do not compare"));
  }
  ReportFile unknown = small_report("new.json");
  unknown.setup.libtorch = "";
  EXPECT_EQ(diff_reports(small_report("old.json"), unknown, false).setup.size(), 0u);
}

TEST(ReportDiffTest, RefusalNamesAllDifferences) {
  ReportFile other = small_report("new.json");
  other.setup.device = "cuda";
  other.setup.mode = "eval";
  try {
    diff_reports(small_report("old.json"), other, false);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("device (cpu / cuda), mode (train / eval)"));
  }
}

TEST(ReportDiffTest, Text) {
  const ReportDiff diff = diff_reports(small_report("old.json"), changed_report(), false);
  expect_golden(render_diff(diff, {{}, 2, false}), "diff.txt");
  EXPECT_THAT(render_diff(diff, {{}, 4, false}), Not(HasSubstr(" more)")));
}

TEST(ReportDiffTest, Json) {
  const CiResult result = ci_result();
  Environment environment;
  environment.invact_version = "0.1.0";
  auto document = document_head(environment);
  document.update(diff_json(*result.diff, result.gates));
  expect_golden(document.dump(2) + "\n", "diff.json");
}

}  // namespace
}  // namespace invact::testing
