// The analyzer's records made by hand, for what builds, prints and writes them. Knows no torch.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "analyzer/bench_result.h"
#include "analyzer/reporting/build_device_report.h"
#include "analyzer/trace.h"

namespace invact::testing {

/// Writes a Trace call by call.
struct TraceBuilder {
  Trace trace;

  TraceBuilder() { trace.model.requires_grad = true; }

  StorageId storage(int64_t bytes, StorageRole role = StorageRole::kActivation) {
    const StorageId id{static_cast<int64_t>(trace.storages.size())};
    trace.storages.push_back({id, bytes, role});
    return id;
  }

  CallId call(const std::string& op, const std::string& module) {
    OperatorCall& call = trace.calls.emplace_back();
    call.id = {static_cast<int64_t>(trace.calls.size()) - 1};
    call.op = op;
    call.module_path = module;
    call.attributed = true;
    return call.id;
  }

  /// A call that makes `output` of `inputs`.
  CallId call(const std::string& op, std::vector<StorageId> inputs, StorageId output) {
    const CallId id = call(op, "net");
    trace.calls.back().inputs = std::move(inputs);
    trace.calls.back().outputs = {output};
    return id;
  }

  void save(StorageId storage, CallId call) {
    TensorFacts tensor;
    tensor.bytes = trace.storages[storage.value].bytes;
    tensor.element_count = tensor.bytes / 4;
    trace.saved.push_back({storage, call, tensor});
  }
};

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

/// Three pairs, of which the machine disturbed one; less is saved, and the peak lies elsewhere.
inline BenchResult small_bench_result() {
  BenchResult result;
  result.inputs = {{"x", {"float32", {8, 16}, 128, 512}, "randn"}};
  result.run = {"cpu", "train", "eager", "", 7, 2};
  result.warmup_count = 2;
  result.allocator = "c10 CPU allocator";
  const std::string digest(64, 'a'), other_digest(64, 'b');
  result.original.model = {"model.pt", digest, 1 << 20, 12, 1 << 20, true};
  result.original.step_ns = {110'000'000, 80'000'000, 100'000'000};
  result.original.saved_bytes = 9 << 20;
  result.original.peak.bytes = 16 << 20;
  result.original.peak.phase = StepPhase::kBackward;
  result.original.peak.op = "GeluBackward0";
  BenchSide& rewritten = result.rewritten.emplace(result.original);
  rewritten.model.path = "model.invact.pt";
  rewritten.model.sha256 = other_digest;
  rewritten.step_ns = {110'000'000, 100'000'000, 90'000'000};
  rewritten.saved_bytes = (6 << 20) + 98304;
  rewritten.peak.bytes = 14 << 20;
  rewritten.peak.op = "";
  return result;
}

}  // namespace invact::testing
