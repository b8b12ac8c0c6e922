// The bound on what a choice of sites can leave, against every choice by the prediction's own
// counting.
#include "rewriter/planning/selection_bound.h"
#include "analyzer/reporting/build_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace invact::testing {
namespace {

/// Calls that save some of the storages; the last storage is a parameter.
Report random_report(std::mt19937& random, int64_t storages, int64_t calls) {
  const auto below = [&random](int64_t limit) {
    return std::uniform_int_distribution<int64_t>(0, limit - 1)(random);
  };
  Trace trace;
  for (int64_t id = 0; id < storages; ++id) {
    const auto role = id + 1 == storages ? StorageRole::kParameter : StorageRole::kActivation;
    trace.storages.push_back({{id}, 1 + below(1000), role});
  }
  for (int64_t id = 0; id < calls; ++id) {
    trace.calls.emplace_back().id = {id};
    for (int64_t count = below(3); count > 0; --count) {
      trace.saved.push_back({{below(storages)}, {id}, {}});
    }
  }
  return build_report(trace);
}

/// One site per call, which may exclude those next to it, over storages near it.
AlternativeGroup random_group(std::mt19937& random, int64_t storages, size_t sites) {
  const auto below = [&random](int64_t limit) {
    return std::uniform_int_distribution<int64_t>(0, limit - 1)(random);
  };
  AlternativeGroup group(sites);
  for (size_t i = 0; i < sites; ++i) {
    Execution execution;
    execution.calls = {{static_cast<int64_t>(i)}};
    execution.own_bytes = below(100);
    if (below(2) == 0) execution.saved_storage = StorageId{below(storages - 1)};
    if (below(2) == 0) execution.saved_inputs.push_back({below(storages - 1)});
    if (below(2) == 0) execution.released_storage = StorageId{below(storages - 1)};
    group[i].executions.push_back(std::move(execution));
    if (i > 0 && below(3) == 0) {
      group[i].rivals.push_back(i - 1);
      group[i - 1].rivals.push_back(i);
    }
  }
  return group;
}

int64_t best_of_all(Prediction& prediction, const AlternativeGroup& group) {
  int64_t fewest = prediction.saved_bytes();
  std::vector<bool> taken(group.size());
  const auto visit = [&](const auto& self, size_t site) -> void {
    if (site == group.size()) {
      fewest = std::min(fewest, prediction.saved_bytes());
      return;
    }
    self(self, site + 1);
    const auto excludes = [&taken](size_t rival) { return taken[rival]; };
    if (std::ranges::any_of(group[site].rivals, excludes)) return;
    taken[site] = true;
    for (const Execution& execution : group[site].executions) prediction.replace(execution);
    self(self, site + 1);
    for (const Execution& execution : group[site].executions) prediction.put_back(execution);
    taken[site] = false;
  };
  visit(visit, 0);
  return fewest;
}

TEST(SelectionBoundTest, OfUpToTenSitesItIsWhatTheBestChoiceSaves) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const Report report = random_report(random, 8, 12);
    const AlternativeGroup group = random_group(random, 8, 1 + seed % kMaxTried);
    Prediction prediction(report);
    EXPECT_EQ(fewest_bytes(report, prediction.observed(), {group}), best_of_all(prediction, group))
        << "seed " << seed;
  }
}

TEST(SelectionBoundTest, OfMoreItIsNeverMore) {
  int64_t reached = 0;
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const Report report = random_report(random, 14, 16);
    const AlternativeGroup group = random_group(random, 14, 14);
    Prediction prediction(report);
    const int64_t bound = fewest_bytes(report, prediction.observed(), {group});
    const int64_t best = best_of_all(prediction, group);
    EXPECT_LE(bound, best) << "seed " << seed;
    EXPECT_GE(bound, 0) << "seed " << seed;
    if (bound == best) ++reached;
  }
  EXPECT_GT(reached, 0);  // The bound is reached sometimes.
}

TEST(SelectionBoundTest, WithoutSitesEverythingStays) {
  std::mt19937 random(1);
  const Report report = random_report(random, 6, 6);
  EXPECT_EQ(fewest_bytes(report, ObservedSavers(report), {}), report.totals.saved_bytes);
}

}  // namespace
}  // namespace invact::testing
