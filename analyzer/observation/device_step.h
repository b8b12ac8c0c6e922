// Runs one training step while a GPU is recorded: kernels by the operator that launched them, and
// memory as autograd, PyTorch's allocator and the driver count it.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "analyzer/cupti/activity_recorder.h"
#include "analyzer/device_activity.h"
#include "analyzer/device_report.h"
#include "analyzer/model/model.h"

namespace invact {

/// Watches one CUDA device from before the model is loaded to the end of the step.
class DeviceWatch {
 public:
  /// Make it before the process uses the device. `use_cupti` false, or a build without CUPTI: only
  /// PyTorch's allocator is asked, and the report says so. @throws as ActivityRecorder.
  DeviceWatch(c10::Device device, bool use_cupti);

  /// Runs `step` (forward and backward of `model`) and holds what the device did. Call it once.
  /// @throws what `step` throws, and Error(kEnvironment) where the records cannot be had.
  void record(const Model& model, const std::function<void()>& step);

  /// What record() recorded, beside the bytes that autograd saves (Report).
  DeviceReport report(int64_t saved_bytes) const;

 private:
  c10::Device device_;
  std::unique_ptr<ActivityRecorder> recorder_;  ///< Null without CUPTI.
  std::string why_not_;
  std::vector<OperatorCall> calls_;
  DeviceActivity activity_;
  AllocatorBytes allocator_;
};

}  // namespace invact
