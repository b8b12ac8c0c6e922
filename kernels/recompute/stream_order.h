// In which order streams of a device run: what one stream made or frees, another may read. Nothing
// happens on the host's own devices. Internal.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace invact::kernels {

/// The stream that the calling thread's work on `device` goes to; none where there are no streams.
inline std::optional<c10::Stream> current_stream(c10::Device device) {
  if (device.is_cpu() || device.is_meta()) return std::nullopt;
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

/// What is given to `second` from now on starts after what `first` has been given.
inline void run_after(const std::optional<c10::Stream>& first,
                      const std::optional<c10::Stream>& second) {
  if (!first || !second || *first == *second) return;
  c10::Event done(first->device_type());
  done.record(*first);
  done.block(*second);
}

}  // namespace invact::kernels
