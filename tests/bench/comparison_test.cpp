#include "bench/comparison.h"

#include <gtest/gtest.h>

#include <string>

namespace invact::testing {
namespace {

using bench::Clock;
using bench::compare;
using bench::quotients;
using bench::Samples;

TEST(Quartiles, InterpolateBetweenSortedValues) {
  const Quartiles four = quartiles({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(four.lower, 1.75);
  EXPECT_DOUBLE_EQ(four.median, 2.5);
  EXPECT_DOUBLE_EQ(four.upper, 3.25);
  const Quartiles one = quartiles({7});
  EXPECT_DOUBLE_EQ(one.lower, 7);
  EXPECT_DOUBLE_EQ(one.upper, 7);
}

TEST(Quotients, AreTakenPairByPair) {
  const Quartiles found = quotients({10, 2, 3}, {10, 1, 1});
  EXPECT_DOUBLE_EQ(found.lower, 1.5);
  EXPECT_DOUBLE_EQ(found.median, 2);
  EXPECT_DOUBLE_EQ(found.upper, 2.5);
}

/// The runs of one letter as one: how often a side is called in its turn is a matter of time.
std::string turns(const std::string& calls) {
  std::string result;
  for (const char call : calls) {
    if (result.empty() || result.back() != call) result += call;
  }
  return result;
}

TEST(Compare, TakesTheThreeInTurnsAndGivesOneSampleOfEachPerPair) {
  std::string calls;
  const auto aten = [&] { calls += 'a'; };
  const auto ours = [&] { calls += 'o'; };
  const auto copy = [&] { calls += 'c'; };
  int heard = 0;
  const Samples samples =
      compare(Clock::kWall, 3, /*is_cacheable=*/true, {aten, ours, copy}, [&](double) { ++heard; });
  EXPECT_EQ(turns(calls), "aocaocaocaoc");  // once to see how long each takes
  EXPECT_EQ(heard, 3);
  for (const std::vector<double>& side : {samples.aten, samples.ours, samples.copy}) {
    ASSERT_EQ(side.size(), 3u);
    for (const double seconds : side) EXPECT_GE(seconds, 0);
  }
}

}  // namespace
}  // namespace invact::testing
