#include "analyzer/reporting/build_timeline.h"

#include <algorithm>
#include <numeric>

namespace invact {
namespace {

/// Blocks listed as live at the peak.
constexpr size_t kMaxLiveBlocks = 50;

/// An allocation or a release, in the order in which they happened.
struct Event {
  int64_t time_ns = 0;
  size_t allocation = 0;
  bool is_release = false;
};

size_t index_of(MemoryKind kind) {
  return static_cast<size_t>(kind);
}

int64_t total(const BytesByKind& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
}

std::vector<Event> events_of(const StepMemory& memory) {
  std::vector<Event> events(memory.event_count);
  for (size_t i = 0; i < memory.allocations.size(); ++i) {
    const Allocation& allocation = memory.allocations[i];
    events.at(allocation.allocated_event) = {allocation.allocated_ns, i, false};
    if (allocation.freed_event >= 0) {
      events.at(allocation.freed_event) = {allocation.freed_ns, i, true};
    }
  }
  return events;
}

MemoryKind kind_of(const Allocation& allocation, const StepMemory& memory) {
  if (allocation.is_gradient) return MemoryKind::kGradients;
  if (allocation.storage) return MemoryKind::kSaved;
  if (allocation.freed_event < 0) return MemoryKind::kOther;
  // Only autograd hands a block of forward over to backward: the outputs outlive the step.
  const bool crosses = allocation.allocated_event < memory.forward_end_event &&
                       allocation.freed_event >= memory.forward_end_event;
  return crosses ? MemoryKind::kSaved : MemoryKind::kTemporaries;
}

class TimelineBuilder {
 public:
  TimelineBuilder(const Trace& trace, const StepMemory& memory)
      : memory_(memory), events_(events_of(memory)) {
    for (const Allocation& allocation : memory.allocations) {
      kinds_.push_back(kind_of(allocation, memory));
    }
    live_[index_of(MemoryKind::kParameters)] =
        trace.model.parameter_bytes + trace.model.buffer_bytes;
    live_[index_of(MemoryKind::kOther)] = memory.input_bytes;
  }

  MemoryTimeline build() {
    timeline_.backend = memory_.backend;
    timeline_.forward_end_ns = memory_.forward_end_ns;
    timeline_.end_ns = memory_.end_ns;
    find_peak();
    add_points();
    add_releases();
    return std::move(timeline_);
  }

 private:
  void apply(const Event& event) {
    const int64_t bytes = memory_.allocations[event.allocation].bytes;
    live_[index_of(kinds_[event.allocation])] += event.is_release ? -bytes : bytes;
  }

  void find_peak() {
    const BytesByKind before = live_;
    MemoryPeak& peak = timeline_.peak;
    peak.live_bytes = live_;
    peak.bytes = total(live_);
    for (size_t i = 0; i < events_.size(); ++i) {
      apply(events_[i]);
      if (total(live_) <= peak.bytes) continue;
      peak.bytes = total(live_);
      peak.live_bytes = live_;
      peak_event_ = static_cast<int64_t>(i);
    }
    live_ = before;
    if (peak_event_ < 0) return;
    const Event& event = events_[peak_event_];
    peak.time_ns = event.time_ns;
    peak.phase =
        peak_event_ < memory_.forward_end_event ? StepPhase::kForward : StepPhase::kBackward;
    peak.op = operator_name(memory_.allocations[event.allocation]);
    add_live_blocks();
  }

  void add_live_blocks() {
    std::vector<LiveBlock>& live = timeline_.peak.live;
    for (size_t i = 0; i < memory_.allocations.size(); ++i) {
      const Allocation& allocation = memory_.allocations[i];
      const bool freed = allocation.freed_event >= 0 && allocation.freed_event <= peak_event_;
      if (allocation.allocated_event > peak_event_ || freed) continue;
      live.push_back({allocation.bytes, kinds_[i], allocation.storage, operator_name(allocation)});
    }
    std::stable_sort(live.begin(), live.end(),
                     [](const LiveBlock& a, const LiveBlock& b) { return a.bytes > b.bytes; });
    if (live.size() > kMaxLiveBlocks) live.resize(kMaxLiveBlocks);
  }

  /// One point per stretch of events, its highest, so that no peak is lost between two points; and
  /// one where forward ends.
  void add_points() {
    timeline_.points.push_back({0, live_});
    const size_t room = kMaxTimelinePoints - 4;  // Three such points, and a stretch cut in two.
    const size_t stretch = (events_.size() + room - 1) / room;
    const auto forward_end = static_cast<size_t>(memory_.forward_end_event);
    add_stretches(0, forward_end, stretch);
    timeline_.points.push_back({memory_.forward_end_ns, live_});
    add_stretches(forward_end, events_.size(), stretch);
    timeline_.points.push_back({memory_.end_ns, live_});
  }

  void add_stretches(size_t begin, size_t end, size_t stretch) {
    while (begin < end) {
      const size_t last = std::min(begin + stretch, end);
      TimelinePoint highest;
      for (size_t i = begin; i < last; ++i) {
        apply(events_[i]);
        if (i == begin || total(live_) > total(highest.live_bytes)) {
          highest = {events_[i].time_ns, live_};
        }
      }
      timeline_.points.push_back(highest);
      begin = last;
    }
  }

  void add_releases() {
    for (const Event& event : events_) {
      const auto& storage = memory_.allocations[event.allocation].storage;
      if (event.is_release && storage) timeline_.releases.push_back({*storage, event.time_ns});
    }
  }

  std::string operator_name(const Allocation& allocation) const {
    return allocation.op < 0 ? "" : memory_.operators.at(allocation.op);
  }

  const StepMemory& memory_;
  const std::vector<Event> events_;
  std::vector<MemoryKind> kinds_;
  BytesByKind live_{};
  int64_t peak_event_ = -1;
  MemoryTimeline timeline_;
};

}  // namespace

std::optional<MemoryTimeline> build_timeline(const Trace& trace) {
  if (!trace.step_memory) return std::nullopt;
  return TimelineBuilder(trace, *trace.step_memory).build();
}

}  // namespace invact
