// A DeviceReport made by hand, for what prints and writes it.
#pragma once

#include "analyzer/device_report.h"

namespace invact::test {

/// A linear and a gelu; NCCL beside PyTorch's allocator; three records lost.
inline DeviceReport small_device_report() {
  DeviceActivity activity;
  const auto allocate = [&](uint64_t address, int64_t bytes, const char* library) {
    MemoryOperation operation;
    operation.place = MemoryPlace::kDevice;
    operation.address = address;
    operation.bytes = bytes;
    operation.time_ns = static_cast<int64_t>(address);
    operation.library = library;
    activity.memory.push_back(operation);
  };
  allocate(1, 20 << 20, "/torch/lib/libc10_cuda.so");
  allocate(2, 6 << 20, "/torch/lib/libnccl.so.2");
  allocate(3, 1 << 20, "");
  OperatorCall linear;
  linear.id = {0};
  linear.op = "aten::linear";
  linear.attributed = true;
  linear.frames = {{"code.py", 10, 20}};
  OperatorCall gelu = linear;
  gelu.id = {1};
  gelu.op = "aten::gelu";
  gelu.module_path = "block.act";
  gelu.method = "forward";
  gelu.source = {"net/model.py", 6};
  gelu.frames = {{"code.py", 30, 40}, {"code.py", 50, 60}};
  const auto launch = [&](const char* name, int64_t start_ns, int64_t end_ns, ExternalId id) {
    KernelRun kernel;
    kernel.name = name;
    kernel.span.start_ns = start_ns;
    kernel.span.end_ns = end_ns;
    kernel.span.external_id = id;
    activity.kernels.push_back(kernel);
  };
  launch("gemm", 1'000, 501'000, external_id({0}, Pass::kForward));
  launch("_Z4gelui", 501'000, 541'000, external_id({1}, Pass::kForward));
  launch("_Z4gelui", 600'000, 660'000, external_id({1}, Pass::kBackward));
  launch("gemm", 660'000, 1'660'000, external_id({0}, Pass::kBackward));
  launch("add", 1'660'000, 1'660'900, 0);
  launch("add", 0, 0, 0);
  CopyRun copy;
  copy.kind = CopyKind::kHostToDevice;
  copy.bytes = 4096;
  copy.span.start_ns = 100;
  copy.span.end_ns = 900;
  activity.copies.push_back(copy);
  activity.dropped_count = 3;
  return build_device_report(activity, {linear, gelu}, {16 << 20, 20 << 20}, 9 << 20);
}

}  // namespace invact::test
