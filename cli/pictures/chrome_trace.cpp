#include "cli/pictures/chrome_trace.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kProcess = 1;
constexpr int kStepLane = 1;
constexpr int kReleaseLane = 2;

/// An event and its time as a whole number: order is decided before microseconds round it.
struct Event {
  int64_t time_ns = 0;
  Json json;
};

double microseconds(int64_t ns) {
  return static_cast<double>(ns) / 1000;
}

Event make_event(const char* phase, int64_t time_ns, int lane, const std::string& name, Json args) {
  return {time_ns,
          {{"ph", phase},
           {"pid", kProcess},
           {"tid", lane},
           {"ts", microseconds(time_ns)},
           {"name", name},
           {"args", std::move(args)}}};
}

Event make_slice(int64_t begin_ns, int64_t end_ns, const std::string& name) {
  Event event = make_event("X", begin_ns, kStepLane, name, Json::object());
  event.json["dur"] = microseconds(end_ns - begin_ns);
  return event;
}

/// `scope`: "t" marks a lane, "g" the whole trace.
Event make_instant(int64_t time_ns, int lane, const char* scope, const std::string& name,
                   Json args) {
  Event event = make_event("i", time_ns, lane, name, std::move(args));
  event.json["s"] = scope;
  return event;
}

Json bytes_by_kind(const BytesByKind& bytes) {
  Json object = Json::object();
  for (size_t i = 0; i < bytes.size(); ++i) {
    object[memory_kind_name(static_cast<MemoryKind>(i))] = bytes[i];
  }
  return object;
}

void add_counters(const MemoryTimeline& timeline, std::vector<Event>& events) {
  for (const TimelinePoint& point : timeline.points) {
    int64_t total = 0;
    for (const int64_t bytes : point.live_bytes) total += bytes;
    events.push_back(
        make_event("C", point.time_ns, kStepLane, "live bytes", bytes_by_kind(point.live_bytes)));
    events.push_back(
        make_event("C", point.time_ns, kStepLane, "live bytes, all", {{"bytes", total}}));
  }
}

void add_releases(const Report& report, std::vector<Event>& events) {
  std::map<StorageId, const StorageRow*> rows;
  for (const StorageRow& row : report.storages) rows[row.id] = &row;
  for (const StorageRelease& release : report.timeline->releases) {
    const StorageRow& row = *rows.at(release.storage);
    const OperatorCall& call = report.call(row.first_call);
    events.push_back(make_instant(release.time_ns, kReleaseLane, "t", "release of " + call.op,
                                  {{"storage", row.id.value},
                                   {"bytes", row.bytes},
                                   {"module", call.module_path},
                                   {"op", call.op}}));
  }
}

Json name_event(const char* what, int lane, const std::string& name) {
  return {
      {"ph", "M"}, {"pid", kProcess}, {"tid", lane}, {"name", what}, {"args", {{"name", name}}}};
}

}  // namespace

Json chrome_trace(const Report& report) {
  Json list = {name_event("process_name", kStepLane, "invact: " + report.model.path),
               name_event("thread_name", kStepLane, "training step"),
               name_event("thread_name", kReleaseLane, "releases of kept storages")};
  if (report.timeline) {
    const MemoryTimeline& timeline = *report.timeline;
    std::vector<Event> events = {
        make_slice(0, timeline.forward_end_ns, "forward"),
        make_slice(timeline.forward_end_ns, timeline.end_ns, "backward"),
        make_instant(timeline.peak.time_ns, kStepLane, "g", "peak",
                     {{"bytes", timeline.peak.bytes}, {"op", timeline.peak.op}})};
    add_counters(timeline, events);
    add_releases(report, events);
    std::stable_sort(events.begin(), events.end(),
                     [](const Event& a, const Event& b) { return a.time_ns < b.time_ns; });
    for (Event& event : events) list.push_back(std::move(event.json));
  }
  return {{"displayTimeUnit", "ms"},
          {"otherData",
           {{"model_sha256", report.model.sha256},
            {"backend", report.timeline ? report.timeline->backend : ""}}},
          {"traceEvents", std::move(list)}};
}

}  // namespace invact
