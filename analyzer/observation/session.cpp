#include "analyzer/observation/session.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/randn.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>

#include "analyzer/error.h"
#include "analyzer/observation/allocations.h"
#include "analyzer/observation/call_sites.h"
#include "analyzer/observation/saved_tensors.h"

namespace invact {
namespace {

using torch::autograd::impl::post_acc_grad_hooks;
using torch::autograd::impl::set_post_acc_grad_hooks;

bool is_out_of_memory(const std::string& message) {
  return message.find("not enough memory") != std::string::npos ||
         message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

/// TorchScript puts the cause last, behind two tracebacks: the serialized one and the original.
std::string cause_of(const std::string& message) {
  const size_t marker = message.rfind("RuntimeError: ");
  return first_sentence(marker == std::string::npos ? message : message.substr(marker + 14));
}

/// Catches errors at the call that runs the model: otherwise they would pass for invact's own.
template <typename Run>
auto run_model(const Model& model, const char* what, Run run) {
  std::string message;
  try {
    return run();
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    message = "out of memory";
  } catch (const std::exception& error) {  // JITException, or Future::FutureError of a task
    message = error.what();
  }
  if (is_out_of_memory(message)) {
    throw_environment_error(
        fmt::format("Out of memory during {} of '{}': {}. Give smaller inputs with --input.", what,
                    model.record.path, cause_of(message)));
  }
  throw_model_error(
      fmt::format("'{}' threw during {}: {}.", model.record.path, what, cause_of(message)));
}

void prepare_forward(Model& model, const RunSettings& settings) {
  if (model.module.hasattr("training")) model.module.train(settings.train);
  at::manual_seed(settings.seed);  // Seeds every device: dropout on a GPU draws there.
}

/// Puts back the buffers that batch norm and similar modules change as they run. Otherwise a second
/// run of the model would start from other statistics than the first.
class BufferGuard {
 public:
  explicit BufferGuard(const Model& model) {
    for (const at::Tensor& buffer : model.module.buffers()) {
      if (buffer.defined()) saved_.emplace_back(buffer, buffer.clone());
    }
  }
  ~BufferGuard() {
    const at::NoGradGuard no_grad;
    for (auto& [buffer, before] : saved_) buffer.copy_(before);
  }
  BufferGuard(const BufferGuard&) = delete;
  BufferGuard& operator=(const BufferGuard&) = delete;

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> saved_;
};

/// Switches autocast on as Python's torch.autocast does: casts are cached while the scope lives and
/// dropped at its end.
class AutocastScope {
 public:
  explicit AutocastScope(const RunSettings& settings)
      : active_(settings.autocast.has_value()), device_(settings.device.type()) {
    if (!active_) return;
    enabled_before_ = at::autocast::is_autocast_enabled(device_);
    dtype_before_ = at::autocast::get_autocast_dtype(device_);
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, *settings.autocast);
    at::autocast::increment_nesting();
  }
  ~AutocastScope() {
    if (!active_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, enabled_before_);
    at::autocast::set_autocast_dtype(device_, dtype_before_);
  }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  bool active_;
  c10::DeviceType device_;
  bool enabled_before_ = false;
  at::ScalarType dtype_before_ = at::kFloat;
};

void drop_gradients(const Model& model) {
  for (const at::Tensor& parameter : model.module.parameters()) parameter.mutable_grad().reset();
}

/// Hands every parameter's gradient to `take` as soon as backward has completed it, and drops it.
class GradientStream {
 public:
  GradientStream(const Model& model, const GradientTaker& take) {
    for (const auto& parameter : model.module.named_parameters()) {
      // A parameter with several names is handed on once, by its first name.
      if (!parameter.value.requires_grad() || post_acc_grad_hooks(parameter.value)) continue;
      set_post_acc_grad_hooks(parameter.value, std::make_unique<Hook>(parameter.name, take));
      parameters_.push_back(parameter.value);
    }
  }
  ~GradientStream() {
    for (const at::Tensor& parameter : parameters_) set_post_acc_grad_hooks(parameter, nullptr);
  }
  GradientStream(const GradientStream&) = delete;
  GradientStream& operator=(const GradientStream&) = delete;

 private:
  struct Hook : torch::autograd::PostAccumulateGradHook {
    Hook(std::string name, const GradientTaker& take) : name_(std::move(name)), take_(take) {}
    void operator()(const at::Tensor& parameter) override {
      take_(name_, parameter.grad());
      parameter.mutable_grad().reset();
    }
    const std::string name_;
    const GradientTaker& take_;
  };

  std::vector<at::Tensor> parameters_;
};

/// What is known before the model runs.
Trace empty_trace(const Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  Trace trace;
  trace.model = model.record;
  trace.inputs = inputs.records;
  trace.modules = module_records(model.module);
  trace.run = {settings.device.str(),
               settings.train ? "train" : "eval",
               settings.executor == Executor::kEager ? "eager" : "default",
               settings.autocast ? dtype_name(*settings.autocast) : "",
               settings.seed,
               at::get_num_threads()};
  return trace;
}

/// Runs forward and leaves mode and random numbers as they are.
c10::IValue call_forward(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  const AutocastScope autocast(settings);
  return run_model(model, "forward", [&] {
    const auto result =
        model.module.get_method("forward").run_async(inputs.values, {}, run_forks_at_once());
    result->waitAndThrow();
    return result->value();
  });
}

c10::IValue run_forward(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  prepare_forward(model, settings);
  return call_forward(model, inputs, settings);
}

/// Floating tensors in `value`, nested ones flattened in order.
void flatten(const c10::IValue& value, const std::string& name,
             std::vector<StepResult::Named>& tensors) {
  const auto child = [&](const auto& key) { return fmt::format("{}.{}", name, key); };
  if (value.isTensor()) {
    if (value.toTensor().defined() && value.toTensor().is_floating_point()) {
      tensors.push_back({name, value.toTensor()});
    }
  } else if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    for (size_t i = 0; i < elements.size(); ++i) flatten(elements[i], child(i), tensors);
  } else if (value.isList()) {
    const auto list = value.toList();
    for (size_t i = 0; i < list.size(); ++i) flatten(list.get(i), child(i), tensors);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef() : "?";
      flatten(entry.value(), child(key), tensors);
    }
  } else if (value.isObject()) {
    const auto object = value.toObject();
    for (size_t i = 0; i < object->slots().size(); ++i) {
      flatten(object->getSlot(i), child(object->type()->getAttributeName(i)), tensors);
    }
  }
}

/// The outputs that the differentiated scalar is made of.
std::vector<at::Tensor> differentiated(const std::vector<StepResult::Named>& outputs) {
  std::vector<at::Tensor> roots;
  for (const auto& [name, output] : outputs) {
    if (output.requires_grad()) roots.push_back(output);
  }
  return roots;
}

std::vector<at::Tensor> cotangents_of(const std::vector<at::Tensor>& roots, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed + 1);
  std::vector<at::Tensor> cotangents;
  for (const at::Tensor& root : roots) {
    const double scale = 1 / std::sqrt(std::max<double>(1, static_cast<double>(root.numel())));
    cotangents.push_back(at::randn(root.sizes(), generator, at::TensorOptions().dtype(at::kFloat))
                             .mul(scale)
                             .to(root.options()));
  }
  return cotangents;
}

void run_backward(const Model& model, const std::vector<at::Tensor>& roots,
                  const std::vector<at::Tensor>& cotangents) {
  if (roots.empty()) return;
  run_model(model, "backward", [&] { torch::autograd::backward(roots, cotangents); });
}

/// One step; its gradients stay in the model. @returns the floating outputs.
std::vector<StepResult::Named> forward_and_backward(
    Model& model, const ModelInputs& inputs, const RunSettings& settings,
    const std::function<void()>& at_end_of_forward = [] {}) {
  std::vector<StepResult::Named> outputs;
  {
    const c10::IValue output = run_forward(model, inputs, settings);
    at_end_of_forward();
    flatten(output, "output", outputs);
  }
  const auto roots = differentiated(outputs);
  run_backward(model, roots, cotangents_of(roots, settings.seed));
  return outputs;
}

void wait_for(c10::Device device) {
  if (device.is_cuda()) {
    at::accelerator::synchronizeDevice(device.has_index() ? device.index() : 0);
  }
}

}  // namespace

c10::Device parse_device(const std::string& text) {
  try {
    const c10::Device device(text);
    if (device.is_cpu() || device.is_cuda()) return device;
  } catch (const c10::Error&) {
  }
  throw_usage_error(fmt::format("--device '{}': give cpu, cuda or cuda:N.", text));
}

void prepare_process(const RunSettings& settings) {
  if (settings.threads > 0) at::set_num_threads(static_cast<int>(settings.threads));
  select_executor(settings.executor);
  if (!settings.device.is_cuda()) return;
  // The CUDA half of LibTorch takes a second to load, so it is loaded only where a GPU is asked
  // for.
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    throw_environment_error(fmt::format("--device {}: this LibTorch has no CUDA part ({}).",
                                        settings.device.str(), dlerror()));
  }
  int64_t count = 0;
  try {
    count = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  } catch (const c10::Error&) {
  }
  const int64_t wanted = settings.device.has_index() ? settings.device.index() : 0;
  if (wanted >= count) {
    throw_environment_error(fmt::format(
        "--device {}: {}.", settings.device.str(),
        count == 0 ? "no CUDA device found" : fmt::format("only {} CUDA devices", count)));
  }
}

void select_executor(Executor executor) {
  // Optimization is set per thread and profiling per process. Both are set, or a forked task would
  // run under another executor than its caller.
  torch::jit::setGraphExecutorOptimize(executor == Executor::kDefault);
  torch::jit::getProfilingMode() = executor == Executor::kDefault;
}

int64_t warm_up_steps(const RunSettings& settings) {
  // One run that profiles, one that compiles forward and backward, one to be sure.
  if (settings.executor == Executor::kDefault) return 3;
  return settings.device.is_cuda() ? 1 : 0;
}

void warm_up(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  for (int64_t step = 0; step < warm_up_steps(settings); ++step) run_step(model, inputs, settings);
}

Trace observe_forward(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  Trace trace = empty_trace(model, inputs, settings);
  const BufferGuard buffers(model);
  const SavedTensorRecorder recorder(model.module);
  const c10::IValue output = run_forward(model, inputs, settings);
  recorder.write_held(trace);
  return trace;
}

Trace observe_step(Model& model, const ModelInputs& inputs, const RunSettings& settings) {
  Trace trace = empty_trace(model, inputs, settings);
  drop_gradients(model);
  const BufferGuard buffers(model);  // Before the recorder, which would count its copies.
  std::optional<SavedTensorRecorder> recorder(std::in_place, model.module);
  AllocationRecorder allocations(settings.device);
  const auto outputs = forward_and_backward(model, inputs, settings, [&] {
    recorder->write_held(trace, &allocations);
    recorder.reset();  // What backward runs again is not saved for it.
    allocations.end_forward();
  });
  std::vector<const void*> gradients;
  for (const at::Tensor& parameter : model.module.parameters()) {
    if (parameter.grad().defined() && parameter.grad().has_storage()) {
      gradients.push_back(parameter.grad().storage().data());
    }
  }
  trace.step_memory = allocations.finish(gradients);
  for (const InputRecord& input : inputs.records) {
    trace.step_memory->input_bytes += input.tensor.bytes;
  }
  drop_gradients(model);
  return trace;
}

std::vector<at::Tensor> draw_cotangents(Model& model, const ModelInputs& inputs,
                                        const RunSettings& settings) {
  const BufferGuard buffers(model);
  std::vector<StepResult::Named> outputs;
  flatten(run_forward(model, inputs, settings), "output", outputs);
  return cotangents_of(differentiated(outputs), settings.seed);
}

int64_t time_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                  const std::vector<at::Tensor>& cotangents) {
  drop_gradients(model);
  const BufferGuard buffers(model);
  prepare_forward(model, settings);
  wait_for(settings.device);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<StepResult::Named> outputs;
  flatten(call_forward(model, inputs, settings), "output", outputs);
  run_backward(model, differentiated(outputs), cotangents);
  run_model(model, "backward", [&] { wait_for(settings.device); });
  const auto end = std::chrono::steady_clock::now();
  drop_gradients(model);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count();
}

StepResult run_step(Model& model, const ModelInputs& inputs, const RunSettings& settings,
                    const GradientTaker& take) {
  drop_gradients(model);
  const BufferGuard buffers(model);
  std::optional<GradientStream> stream;
  if (take) stream.emplace(model, take);
  StepResult result;
  result.outputs = forward_and_backward(model, inputs, settings);
  for (auto& output : result.outputs) output.value = output.value.detach();
  if (take) return result;
  for (const auto& parameter : model.module.named_parameters()) {
    if (!parameter.value.requires_grad()) continue;
    result.gradients.push_back({parameter.name, parameter.value.grad()});
    parameter.value.mutable_grad().reset();
  }
  return result;
}

}  // namespace invact
