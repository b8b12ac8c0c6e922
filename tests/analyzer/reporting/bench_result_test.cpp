// Statistics, turns, notes and the document of `invact bench`, on times made by hand.
#include "analyzer/bench_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analyzer/observation/step_turns.h"
#include "analyzer/reporting/json.h"
#include "tests/support/golden.h"
#include "tests/support/records.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(QuartilesTest, InterpolateBetweenSortedValues) {
  EXPECT_EQ(quartiles({4, 1, 3, 2}), (Quartiles{1.75, 2.5, 3.25}));
  EXPECT_EQ(quartiles({5, 1, 4, 2, 3}), (Quartiles{2, 3, 4}));
  EXPECT_EQ(quartiles({7}), (Quartiles{7, 7, 7}));
}

TEST(QuartilesTest, SpreadIsRelativeToTheMedian) {
  EXPECT_EQ(spread_fraction({1.75, 2.5, 3.25}), 0.6);
  EXPECT_EQ(spread_fraction({0, 0, 0}), 0);
}

TEST(TakeTurnsTest, EachSideIsFirstInEverySecondPair) {
  std::string order;
  int64_t now = 0;
  const StepTimes times = take_turns(
      3, [&] { return order += 'o', ++now; }, [&] { return order += 'r', ++now; },
      [&] { order += ' '; });
  EXPECT_EQ(order, " or ro or");
  EXPECT_THAT(times.original_ns, ElementsAre(1, 4, 5));
  EXPECT_THAT(times.rewritten_ns, ElementsAre(2, 3, 6));
}

TEST(TakeTurnsTest, OneSideAlone) {
  const StepTimes times = take_turns(
      2, [] { return 5; }, {}, [] {});
  EXPECT_THAT(times.original_ns, ElementsAre(5, 5));
  EXPECT_THAT(times.rewritten_ns, IsEmpty());
}

TEST(BenchResultTest, RatiosAreTakenPairByPair) {
  BenchResult result = small_bench_result();
  EXPECT_THAT(time_ratios(result), ElementsAre(1.0, 1.25, 0.9));
  // 100 / 110 is what the medians of the two sides would say.
  EXPECT_EQ(quartiles(time_ratios(result)).median, 1.0);
  result.rewritten.reset();
  EXPECT_THAT(time_ratios(result), IsEmpty());
}

TEST(BenchResultTest, NotesSayWhatTheFiguresAreNotGoodFor) {
  BenchResult result = small_bench_result();
  EXPECT_THAT(bench_notes(result),
              ElementsAre(HasSubstr("Only 3 pairs"), HasSubstr("quartiles of the ratio lie 18 %")));
  result.original.step_ns.assign(kLeastPairs, 100);
  result.rewritten->step_ns.assign(kLeastPairs, 110);
  EXPECT_THAT(bench_notes(result), IsEmpty());
  result.original.model.requires_grad = false;
  EXPECT_THAT(bench_notes(result), ElementsAre(HasSubstr("forward alone")));
}

TEST(BenchResultTest, NotesOfAModelAlone) {
  BenchResult result = small_bench_result();
  result.rewritten.reset();
  result.original.step_ns = {100};
  EXPECT_THAT(bench_notes(result), ElementsAre(HasSubstr("Only 1 step:")));
  result.original.step_ns.assign(kLeastPairs, 100);
  result.original.step_ns.resize(2 * kLeastPairs, 200);
  EXPECT_THAT(bench_notes(result), ElementsAre(HasSubstr("quartiles of the step time")));
}

TEST(BenchJsonTest, Document) {
  auto document = document_head({"0.0.0", "2.0.0", "AVX2", false, {}});
  document.update(to_json(small_bench_result()));
  expect_golden(document.dump(2) + "\n", "bench.document.json");
}

TEST(BenchJsonTest, WithoutARewrittenModelItsPlacesAreNull) {
  BenchResult result = small_bench_result();
  result.rewritten.reset();
  const auto document = to_json(result);
  EXPECT_TRUE(document.at("rewritten").is_null());
  EXPECT_TRUE(document.at("ratio").is_null());
  EXPECT_EQ(document.at("original").at("step_ns").at("samples").size(), 3u);
}

}  // namespace
}  // namespace invact::testing
