// Session: runs one training step of a model, observed (-> Trace) or plain (-> outputs and
// gradients). The only code that runs a model.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"
#include "analyzer/trace.h"

namespace invact {

/// How TorchScript runs a model.
enum class Executor {
  kEager,    ///< Optimization and profiling off: each operator is an autograd node of its own.
  kDefault,  ///< The profiling executor, which differentiates whole subgraphs by formulas of its
             ///< own.
};

struct RunSettings {
  c10::Device device{c10::kCPU};
  bool train = true;
  Executor executor = Executor::kEager;
  std::optional<c10::ScalarType> autocast;  ///< Of forward.
  uint64_t seed = 0;
  int64_t threads = 0;  ///< 0: LibTorch's default.
};

/// Process-wide state that every run shares: thread count and TorchScript's executor. Call it
/// before any model is loaded.
/// @throws Error(kEnvironment) where the device does not exist.
void prepare_process(const RunSettings& settings);

/// Sets how models run that are loaded from now on; a model that has run stays with its executor.
void select_executor(Executor executor);

/// How many steps make the next one like every later one: the profiling executor profiles,
/// optimizes and differentiates; on a GPU libraries make their workspaces; else none.
int64_t warm_up_steps(const RunSettings& settings);

/// Runs that many. @throws as observe_forward.
void warm_up(Model& model, const ModelInputs& inputs, const RunSettings& settings);

/// Parses "cpu", "cuda" or "cuda:1". @throws Error(kUsage).
c10::Device parse_device(const std::string& text);

/// Runs forward with hooks and reports what autograd holds when it has ended. The model's random
/// numbers start from `settings.seed`; its buffers are put back afterwards.
/// @throws Error(kModel) where the model throws, Error(kEnvironment) where memory runs out.
Trace observe_forward(Model& model, const ModelInputs& inputs, const RunSettings& settings);

/// The same, and the backward that follows, in one run: the trace has what the allocators reported
/// during it. The scalar differentiated is run_step's. @throws as observe_forward.
Trace observe_step(Model& model, const ModelInputs& inputs, const RunSettings& settings);

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

/// Takes one parameter's gradient.
using GradientTaker = std::function<void(const std::string& name, const at::Tensor& gradient)>;

/// Runs forward and backward without hooks. The scalar differentiated is sum_i <output_i, r_i> over
/// the floating outputs that require gradients; r_i is normal, drawn in float32 from a generator
/// seeded with seed + 1, over sqrt(numel). Gradients are zeroed first and taken out of the module,
/// buffers put back. With `take` each gradient goes there as soon as backward has completed it, and
/// is dropped then, so that no two are in memory. @throws as observe_forward.
StepResult run_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                    const GradientTaker& take = {});

/// What a step's backward starts from, one r_i per output that requires gradients: drawn once, so
/// that no step that is timed draws them. Runs forward. @throws as observe_forward.
std::vector<at::Tensor> draw_cotangents(Model& model, const ModelInputs& inputs,
                                        const RunSettings& settings);

/// Runs the same step with these `cotangents` and takes its time alone: what leaves the model as it
/// was lies outside. @returns nanoseconds, on a GPU from idle to idle. @throws as observe_forward.
int64_t time_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                  const std::vector<at::Tensor>& cotangents);

}  // namespace invact
