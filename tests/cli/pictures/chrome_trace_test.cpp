#include "cli/pictures/chrome_trace.h"

#include <gtest/gtest.h>

namespace invact::testing {
namespace {

using Json = nlohmann::ordered_json;

/// Two saved storages; the second is released first, between two points.
Report small_report() {
  Report report;
  report.model.path = "model.pt";
  report.model.sha256 = "ab";
  for (const char* op : {"aten::linear", "aten::gelu"}) {
    OperatorCall& call = report.calls.emplace_back();
    call.id = {static_cast<int64_t>(report.calls.size()) - 1};
    call.op = op;
    call.module_path = "block";
    StorageRow& row = report.storages.emplace_back();
    row.id = {call.id.value + 10};
    row.bytes = 1000;
    row.first_call = call.id;
  }
  MemoryTimeline& timeline = report.timeline.emplace();
  timeline.backend = "c10 CPU allocator";
  timeline.forward_end_ns = 3000;
  timeline.end_ns = 9001;
  // By kind: parameters, gradients, saved, temporaries, other.
  timeline.points = {
      {0, {100, 0, 0, 0, 7}}, {3000, {100, 0, 2000, 0, 7}}, {9001, {100, 100, 0, 0, 7}}};
  timeline.peak = {2107, 3000, StepPhase::kBackward, "aten::mm", {100, 0, 2000, 0, 7}, {}};
  timeline.releases = {{{11}, 4500}, {{10}, 9001}};
  return report;
}

std::vector<Json> events_of_phase(const Json& trace, const std::string& phase) {
  std::vector<Json> events;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") == phase) events.push_back(event);
  }
  return events;
}

TEST(ChromeTraceTest, EventsHaveTheirFieldsInOrderOfTime) {
  const Json trace = chrome_trace(small_report());
  double last = 0;
  for (const Json& event : trace.at("traceEvents")) {
    for (const char* field : {"ph", "pid", "tid", "name", "args"}) {
      EXPECT_TRUE(event.contains(field)) << field << " in " << event;
    }
    if (event.at("ph") == "M") continue;
    EXPECT_GE(event.at("ts").get<double>(), last) << event;
    last = event.at("ts").get<double>();
  }
  EXPECT_EQ(last, 9.001);
}

TEST(ChromeTraceTest, ForwardAndBackwardShareTheStep) {
  const auto slices = events_of_phase(chrome_trace(small_report()), "X");
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0].at("name"), "forward");
  EXPECT_EQ(slices[0].at("dur"), 3.0);
  EXPECT_EQ(slices[1].at("name"), "backward");
  EXPECT_EQ(slices[1].at("ts"), 3.0);
  EXPECT_EQ(slices[1].at("dur"), 6.001);
}

TEST(ChromeTraceTest, CountersAreThePoints) {
  const auto counters = events_of_phase(chrome_trace(small_report()), "C");
  ASSERT_EQ(counters.size(), 6u);
  const Json kinds = {
      {"parameters", 100}, {"gradients", 0}, {"saved", 2000}, {"temporaries", 0}, {"other", 7}};
  EXPECT_EQ(counters[2].at("args"), kinds);
  EXPECT_EQ(counters[3].at("args").at("bytes"), 2107);
}

TEST(ChromeTraceTest, InstantsArePeakAndReleases) {
  const auto instants = events_of_phase(chrome_trace(small_report()), "i");
  ASSERT_EQ(instants.size(), 3u);
  EXPECT_EQ(instants[0].at("name"), "peak");
  EXPECT_EQ(instants[0].at("s"), "g");
  EXPECT_EQ(instants[1].at("name"), "release of aten::gelu");
  EXPECT_EQ(instants[1].at("args").at("storage"), 11);
  EXPECT_EQ(instants[1].at("args").at("bytes"), 1000);
  EXPECT_EQ(instants[2].at("args").at("module"), "block");
}

TEST(ChromeTraceTest, WithoutATimelineOnlyNames) {
  Report report = small_report();
  report.timeline.reset();
  const Json trace = chrome_trace(report);
  EXPECT_FALSE(trace.at("traceEvents").empty());
  for (const Json& event : trace.at("traceEvents")) {
    EXPECT_EQ(event.at("ph"), "M") << event;
  }
}

}  // namespace
}  // namespace invact::testing
