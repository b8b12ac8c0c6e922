// Records what a GPU does: device memory as the driver hands it out, kernels, copies and sets, each
// with the id that was pushed when it was asked for. CUPTI stands behind this header alone: it
// knows neither torch nor CUPTI, and a build without CUPTI has it too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "analyzer/device_activity.h"

namespace invact {

/// False in a build without CUPTI, whose recorder refuses to be made.
bool activity_recorder_is_built();

/// The API version of the CUPTI library that is loaded (130001 for CUPTI 13.0.85), on a machine
/// without a driver that of the build; none in a build without CUPTI or where the library does not
/// answer.
std::optional<uint32_t> cupti_api_version();

/// One per process at a time. Push and pop may be called on any thread, the others on one.
class ActivityRecorder {
 public:
  /// Claims CUPTI and starts to record device memory. Make it before the process has a CUDA
  /// context: memory handed out earlier is not seen, and CUPTI would put its own buffers on the
  /// device.
  /// @throws Error(kEnvironment) without a driver, where another tool holds CUPTI (it is named), or
  /// where CUPTI refuses this device.
  ActivityRecorder();
  ~ActivityRecorder();  ///< Stops; what was recorded is lost unless finish() was called.
  ActivityRecorder(const ActivityRecorder&) = delete;
  ActivityRecorder& operator=(const ActivityRecorder&) = delete;

  /// From here on kernels, copies and sets are recorded too. @throws Error(kEnvironment).
  void record_work();

  /// What this thread asks of the device until the matching pop carries `id`. Never throws:
  /// finish() reports the first failure.
  void push_external_id(ExternalId id) noexcept;
  void pop_external_id() noexcept;

  /// Stops and hands over the records. The caller has synchronized the device: what still runs has
  /// no end. @throws Error(kEnvironment) with the first failure of a callback, push or pop.
  DeviceActivity finish();

 private:
  class Recording;
  std::unique_ptr<Recording> recording_;
};

}  // namespace invact
