#include "analyzer/observation/device_step.h"

#include <ATen/DeviceAccelerator.h>

#include "analyzer/observation/operator_marks.h"
#include "analyzer/reporting/build_device_report.h"

namespace invact {
namespace {

class RecorderListener : public OperatorMarkListener {
 public:
  explicit RecorderListener(ActivityRecorder& recorder) : recorder_(recorder) {}
  void begin(ExternalId id) override { recorder_.push_external_id(id); }
  void end() override { recorder_.pop_external_id(); }

 private:
  ActivityRecorder& recorder_;
};

AllocatorBytes peak_of_allocator(c10::DeviceIndex device) {
  // Index 0 of each: all pools together.
  const auto stats = at::accelerator::getDeviceStats(device);
  return {stats.allocated_bytes[0].peak, stats.reserved_bytes[0].peak};
}

}  // namespace

DeviceWatch::DeviceWatch(c10::Device device, bool use_cupti) : device_(device) {
  if (!use_cupti) {
    why_not_ = "CUPTI was switched off (--no-cupti)";
  } else if (!activity_recorder_is_built()) {
    why_not_ = "this invact was built without CUPTI";
  } else {
    recorder_ = std::make_unique<ActivityRecorder>();
  }
}

void DeviceWatch::record(const Model& model, const std::function<void()>& step) {
  const c10::DeviceIndex index = device_.has_index() ? device_.index() : 0;
  at::accelerator::synchronizeDevice(index);
  at::accelerator::resetPeakStats(index);
  if (recorder_) {
    recorder_->record_work();
    RecorderListener listener(*recorder_);
    const OperatorMarks marks(model.module, listener);
    step();
    calls_ = marks.calls();
  } else {
    step();
  }
  // CUPTI's flush does not wait for the device.
  at::accelerator::synchronizeDevice(index);
  allocator_ = peak_of_allocator(index);
  if (recorder_) activity_ = recorder_->finish();
}

DeviceReport DeviceWatch::report(int64_t saved_bytes) const {
  return recorder_ ? build_device_report(activity_, calls_, allocator_, saved_bytes)
                   : build_device_report(allocator_, saved_bytes, why_not_);
}

}  // namespace invact
