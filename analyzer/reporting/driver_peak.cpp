#include "analyzer/reporting/driver_peak.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <variant>

namespace invact {
namespace {

/// Device and address: each GPU has addresses of its own as far as a record says.
using Place = std::pair<uint32_t, uint64_t>;

struct Holding {
  std::string library;
  int64_t bytes = 0;
};

bool on_device(MemoryPlace place) {
  switch (place) {
    case MemoryPlace::kDevice:
    case MemoryPlace::kArray:
    case MemoryPlace::kManaged:
    case MemoryPlace::kStaticDevice:
    case MemoryPlace::kStaticManaged:
      return true;
    default:
      return false;
  }
}

/// Empty for the CUDA runtime and the driver, which only pass on what another library asks for.
std::string asking_library(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  for (const char* passes_on : {"libcudart", "libcuda.so"}) {
    if (name.starts_with(passes_on)) return "";
  }
  return name;
}

bool is_torch_allocator(const std::string& library) {
  return library.starts_with("libc10_cuda");
}

/// The driver's memory as it stands after the operations applied so far.
class DriverMemory {
 public:
  void apply(const MemoryOperation& operation) {
    const Place place{operation.device, operation.address};
    if (operation.place == MemoryPlace::kPinnedHost) {
      change(pinned_, place, operation, pinned_bytes_);
    } else if (!on_device(operation.place)) {
      return;
    } else if (operation.from_pool) {
      // What is taken from a pool lies inside what the pool holds.
      hold_pool({operation.device, operation.pool_address}, operation.pool_reserved_bytes,
                asking_library(operation.library));
    } else {
      change(device_, place, operation, device_bytes_);
    }
  }

  void apply(const PoolOperation& operation) {
    const Place place{operation.device, operation.address};
    if (!pools_.contains(place)) return;
    if (operation.change == PoolChange::kDestroyed) hold_pool(place, 0, "");
    if (operation.change == PoolChange::kTrimmed) hold_pool(place, operation.reserved_bytes, "");
  }

  int64_t device_bytes() const { return device_bytes_; }
  int64_t pinned_bytes() const { return pinned_bytes_; }

  std::vector<LibraryRow> by_library() const {
    std::map<std::string, LibraryRow> rows;
    for (const Holdings* holdings : {&device_, &pools_}) {
      for (const auto& [place, holding] : *holdings) {
        LibraryRow& row = rows[holding.library];
        row.library = holding.library;
        row.is_allocator = is_torch_allocator(holding.library);
        row.bytes += holding.bytes;
        ++row.allocation_count;
      }
    }
    std::vector<LibraryRow> list;
    for (auto& [library, row] : rows) list.push_back(std::move(row));
    std::stable_sort(list.begin(), list.end(),
                     [](const LibraryRow& a, const LibraryRow& b) { return a.bytes > b.bytes; });
    return list;
  }

 private:
  using Holdings = std::map<Place, Holding>;

  /// A release whose allocation was not seen changes nothing: its bytes were never counted.
  static void change(Holdings& holdings, const Place& place, const MemoryOperation& operation,
                     int64_t& total_bytes) {
    if (const auto found = holdings.find(place); found != holdings.end()) {
      total_bytes -= found->second.bytes;
      holdings.erase(found);
    }
    if (operation.is_release) return;
    holdings[place] = {asking_library(operation.library), operation.bytes};
    total_bytes += operation.bytes;
  }

  void hold_pool(const Place& place, int64_t reserved_bytes, const std::string& library) {
    Holding& pool = pools_.try_emplace(place, Holding{library, 0}).first->second;
    device_bytes_ += reserved_bytes - pool.bytes;
    pool.bytes = reserved_bytes;
    if (reserved_bytes == 0) pools_.erase(place);
  }

  Holdings device_, pools_, pinned_;
  int64_t device_bytes_ = 0;
  int64_t pinned_bytes_ = 0;
};

using Event = std::variant<const MemoryOperation*, const PoolOperation*>;

int64_t time_of(const Event& event) {
  return std::visit([](const auto* operation) { return operation->time_ns; }, event);
}

}  // namespace

DriverPeak find_driver_peak(const DeviceActivity& activity) {
  std::vector<Event> events;
  for (const MemoryOperation& operation : activity.memory) events.emplace_back(&operation);
  for (const PoolOperation& operation : activity.pools) events.emplace_back(&operation);
  // Threads fill buffers of their own, so delivery is not in order of time.
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return time_of(a) < time_of(b); });

  // Twice: the rows of every new peak would cost as much as there are allocations.
  DriverPeak peak;
  size_t events_to_peak = 0;
  DriverMemory memory;
  for (size_t i = 0; i < events.size(); ++i) {
    std::visit([&](const auto* operation) { memory.apply(*operation); }, events[i]);
    peak.pinned_host_bytes = std::max(peak.pinned_host_bytes, memory.pinned_bytes());
    if (memory.device_bytes() > peak.device_bytes) {
      peak.device_bytes = memory.device_bytes();
      events_to_peak = i + 1;
    }
  }
  DriverMemory at_peak;
  for (size_t i = 0; i < events_to_peak; ++i) {
    std::visit([&](const auto* operation) { at_peak.apply(*operation); }, events[i]);
  }
  peak.libraries = at_peak.by_library();
  return peak;
}

}  // namespace invact
