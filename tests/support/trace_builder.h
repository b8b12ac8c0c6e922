// Builds Traces by hand.
#pragma once

#include <string>

#include "analyzer/trace.h"

namespace invact::test {

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

}  // namespace invact::test
