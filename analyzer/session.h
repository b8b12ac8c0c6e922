// Session: runs one training step of a model, observed (-> Trace) or plain (-> outputs and
// gradients). The only code that runs a model.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/inputs.h"
#include "analyzer/model.h"
#include "analyzer/trace.h"

namespace invact {

struct RunSettings {
  c10::Device device{c10::kCPU};
  bool train = true;
  uint64_t seed = 0;
  int64_t threads = 0;  ///< 0: LibTorch's default.
};

/// Process-wide state that every run shares: thread count and TorchScript's executor (optimization
/// and profiling off, so that each operator runs as its own autograd node). Call it before any
/// model is loaded.
/// @throws Error(kEnvironment) where the device does not exist.
void prepare_process(const RunSettings& settings);

/// Parses "cpu", "cuda" or "cuda:1". @throws Error(kUsage).
c10::Device parse_device(const std::string& text);

/// Runs forward with hooks and reports what autograd holds when it has ended. The model's random
/// numbers start from `settings.seed`; its buffers are put back afterwards.
/// @throws Error(kModel) where the model throws, Error(kEnvironment) where memory runs out.
Trace observe_forward(Model& model, const ModelInputs& inputs, const RunSettings& settings);

/// Values and gradients of one step. `outputs` are the floating outputs, nested ones flattened in
/// order, detached.
struct StepResult {
  struct Named {
    std::string name;
    at::Tensor value;  ///< Undefined: this parameter got no gradient.
  };
  std::vector<Named> outputs;
  std::vector<Named> gradients;  ///< One per parameter that requires gradients.
};

/// Runs forward and backward without hooks. The scalar differentiated is sum_i <output_i, r_i> over
/// the floating outputs that require gradients; r_i is normal, drawn in float32 from a generator
/// seeded with seed + 1, over sqrt(numel). Gradients are zeroed first and taken out of the module,
/// buffers put back. @throws as observe_forward.
StepResult run_step(Model& model, const ModelInputs& inputs, const RunSettings& settings);

}  // namespace invact
