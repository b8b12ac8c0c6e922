// Timelines from events written by hand, then of small models whose bytes are computed by hand.
#include "analyzer/reporting/build_timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace invact::testing {
namespace {

using ::testing::ElementsAre;

int64_t total(const BytesByKind& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
}

/// Writes events one nanosecond apart.
struct StepBuilder {
  StepMemory memory;

  size_t allocate(int64_t bytes) {
    Allocation allocation;
    allocation.bytes = bytes;
    allocation.allocated_event = memory.event_count;
    allocation.allocated_ns = memory.event_count++;
    memory.allocations.push_back(allocation);
    return memory.allocations.size() - 1;
  }
  void free(size_t index) {
    memory.allocations[index].freed_event = memory.event_count;
    memory.allocations[index].freed_ns = memory.event_count++;
  }
  void end_forward() {
    memory.forward_end_event = memory.event_count;
    memory.forward_end_ns = memory.event_count;  // Of the event that comes next, too.
  }
  MemoryTimeline timeline(Trace trace = {}) {
    memory.end_ns = memory.event_count;
    trace.step_memory = memory;
    return *build_timeline(trace);
  }
};

TEST(MemoryTimelineTest, NoStepNoTimeline) {
  EXPECT_EQ(build_timeline(Trace{}), std::nullopt);
}

TEST(MemoryTimelineTest, KindsFollowFromWhenABlockLives) {
  StepBuilder step;
  const size_t temporary = step.allocate(1);
  const size_t saved = step.allocate(20);
  step.free(temporary);
  step.allocate(300);  // The output: outlives the step.
  step.end_forward();
  const size_t gradient = step.allocate(4000);
  step.memory.allocations[gradient].is_gradient = true;
  step.free(saved);
  step.memory.input_bytes = 50000;
  Trace trace;
  trace.model.parameter_bytes = 600000;
  trace.model.buffer_bytes = 100000;
  const MemoryTimeline timeline = step.timeline(trace);
  EXPECT_THAT(timeline.points.front().live_bytes, ElementsAre(700000, 0, 0, 0, 50000));
  EXPECT_THAT(timeline.peak.live_bytes, ElementsAre(700000, 4000, 20, 0, 50300));
  EXPECT_EQ(timeline.peak.bytes, 754320);
  EXPECT_EQ(timeline.peak.phase, StepPhase::kBackward);
  EXPECT_THAT(timeline.points.back().live_bytes, ElementsAre(700000, 4000, 0, 0, 50300));
  const auto at_end =
      std::find_if(timeline.points.begin(), timeline.points.end(),
                   [&](const auto& point) { return point.time_ns == timeline.forward_end_ns; });
  ASSERT_NE(at_end, timeline.points.end());
  EXPECT_THAT(at_end->live_bytes, ElementsAre(700000, 0, 20, 0, 50300));
  ASSERT_EQ(timeline.peak.live.size(), 3u);
  EXPECT_EQ(timeline.peak.live[0].bytes, 4000);
}

TEST(MemoryTimelineTest, AStepThatAllocatesNothing) {
  Trace trace;
  trace.model.parameter_bytes = 8;
  trace.step_memory.emplace();
  const auto timeline = build_timeline(trace);
  ASSERT_TRUE(timeline);
  EXPECT_EQ(timeline->peak.bytes, 8);
  EXPECT_TRUE(timeline->peak.live.empty());
  EXPECT_EQ(timeline->points.size(), 3u);  // Begin, end of forward, end.
}

TEST(MemoryTimelineTest, LongStepsAreThinnedWithoutLosingThePeak) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    StepBuilder step;
    std::vector<size_t> live;
    int64_t now = 0, peak = 0;
    for (int i = 0; i < 5000; ++i) {
      if (i == 2500) step.end_forward();
      if (!live.empty() && random() % 2) {
        const size_t which = random() % live.size();
        step.free(live[which]);
        now -= step.memory.allocations[live[which]].bytes;
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
      } else {
        live.push_back(step.allocate(1 + static_cast<int64_t>(random() % 1000)));
        now += step.memory.allocations.back().bytes;
      }
      peak = std::max(peak, now);
    }
    const MemoryTimeline timeline = step.timeline();
    EXPECT_EQ(timeline.peak.bytes, peak) << "seed " << seed;
    EXPECT_EQ(total(timeline.peak.live_bytes), peak);
    EXPECT_LE(timeline.points.size(), kMaxTimelinePoints);
    int64_t highest = 0, time = 0;
    for (const TimelinePoint& point : timeline.points) {
      highest = std::max(highest, total(point.live_bytes));
      EXPECT_GE(point.time_ns, time);
      time = point.time_ns;
      for (const int64_t bytes : point.live_bytes) EXPECT_GE(bytes, 0);
    }
    EXPECT_EQ(highest, peak) << "seed " << seed;
    EXPECT_EQ(total(timeline.points.back().live_bytes), now);
  }
}

TEST(MemoryTimelineTest, KeptStoragesAreReleasedWhereTheirBlocksAre) {
  StepBuilder step;
  step.allocate(8);
  const size_t kept = step.allocate(16);
  step.memory.allocations[kept].storage = StorageId{7};
  step.end_forward();
  step.free(kept);
  const MemoryTimeline timeline = step.timeline();
  ASSERT_EQ(timeline.releases.size(), 1u);
  EXPECT_EQ(timeline.releases[0].storage, StorageId{7});
  EXPECT_EQ(timeline.releases[0].time_ns, 2);
}

}  // namespace
}  // namespace invact::testing
