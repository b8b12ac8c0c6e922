#include "analyzer/cupti/activity_recorder.h"
#include "analyzer/error.h"

namespace invact {

class ActivityRecorder::Recording {};

bool activity_recorder_is_built() {
  return false;
}

std::optional<uint32_t> cupti_api_version() {
  return std::nullopt;
}

ActivityRecorder::ActivityRecorder() {
  throw_environment_error(
      "This invact was built without CUPTI and cannot record a GPU: configure it with "
      "-DINVACT_CUDA=ON -DINVACT_CUPTI=ON.");
}

// The constructor throws, so there is nothing that these could be called on.
ActivityRecorder::~ActivityRecorder() = default;
void ActivityRecorder::record_work() {}
void ActivityRecorder::push_external_id(ExternalId) noexcept {}
void ActivityRecorder::pop_external_id() noexcept {}
DeviceActivity ActivityRecorder::finish() {
  return {};
}

}  // namespace invact
