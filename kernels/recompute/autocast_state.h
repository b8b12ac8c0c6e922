// The state of autocast, to put it back later: a segment runs again under the rules that it ran
// under first, wherever backward is called. Internal.
#pragma once

#include <ATen/autocast_mode.h>

#include <array>

namespace invact::kernels {

struct AutocastState {
  struct Device {
    bool is_enabled;
    at::ScalarType dtype;
    bool operator==(const Device&) const = default;
  };
  static constexpr std::array kDevices = {at::kCPU, at::kCUDA};

  static AutocastState now() {
    AutocastState state{};
    for (size_t i = 0; i < kDevices.size(); ++i) {
      state.devices[i] = {at::autocast::is_autocast_enabled(kDevices[i]),
                          at::autocast::get_autocast_dtype(kDevices[i])};
    }
    state.is_cache_enabled = at::autocast::is_autocast_cache_enabled();
    return state;
  }

  void set() const {
    const AutocastState before = now();
    for (size_t i = 0; i < kDevices.size(); ++i) {
      if (devices[i] == before.devices[i]) continue;  // every segment sets it, few change it
      at::autocast::set_autocast_enabled(kDevices[i], devices[i].is_enabled);
      at::autocast::set_autocast_dtype(kDevices[i], devices[i].dtype);
    }
    at::autocast::set_autocast_cache_enabled(is_cache_enabled);
  }

  std::array<Device, kDevices.size()> devices;
  bool is_cache_enabled;
};

/// Runs its scope under `state`, but without autocast's cache of casts: a cast that was made
/// without gradients would be given to later readers that want them, and a cast of a second run's
/// inputs would stay for ever.
class AutocastStateGuard {
 public:
  explicit AutocastStateGuard(AutocastState state) {
    state.is_cache_enabled = false;
    state.set();
  }
  ~AutocastStateGuard() { before_.set(); }
  AutocastStateGuard(const AutocastStateGuard&) = delete;
  AutocastStateGuard& operator=(const AutocastStateGuard&) = delete;

 private:
  AutocastState before_ = AutocastState::now();
};

}  // namespace invact::kernels
