#include "analyzer/saved_tensors.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <span>

#include "analyzer/call_sites.h"
#include "analyzer/error.h"
#include "analyzer/forked_tasks.h"
#include "analyzer/model.h"
#include "analyzer/storage_table.h"
#include "kernels/catalog.h"

namespace invact {
namespace {

/// The operator that the model's code is running on this thread.
struct RunningOperator {
  uint64_t recording = 0;  ///< Which recorder saw it begin: a forked task may outlive its own.
  int64_t depth = 0;       ///< Operators within operators: linear calls addmm.
  std::string op;
  CallId call;  ///< -1 until it saves something or is a known activation.
};
thread_local RunningOperator running;
/// Our own detach() would otherwise be seen as an operator of the model.
thread_local bool muted = false;

/// TorchScript hands an observer its whole stack; the operator's own values are the last ones.
std::span<const c10::IValue> last(std::span<const c10::IValue> values, size_t count) {
  return values.size() < count ? values : values.last(count);
}

struct Save {
  SavedTensor record;
  std::atomic<bool> held{true};
};

}  // namespace

class SavedTensorRecorder::State {
 public:
  explicit State(const torch::jit::Module& top) : storages_(top), sites_(top) {}

  void begin_operator(const at::RecordFunction& function) {
    if (running.recording != recording_) running = {recording_, 0, "", {}};
    if (running.depth++ > 0) return;
    running.op = function.name();
    running.call = {};
    if (!kernels::is_activation(running.op)) return;
    const auto inputs =
        last({function.inputs().data(), function.inputs().size()}, function.num_inputs());
    if (inputs.empty() || !inputs[0].isTensor() || !inputs[0].toTensor().defined()) return;
    const std::lock_guard lock(mutex_);
    OperatorCall& call = begin_call();
    if (inputs.size() > 1 && inputs[1].isString()) call.variant = inputs[1].toStringRef();
    call.input_is_view = inputs[0].toTensor().is_view();
  }

  void end_operator(const at::RecordFunction& function) {
    if (running.recording != recording_ || --running.depth > 0) return;
    if (running.call.value >= 0 && kernels::is_activation(running.op)) {
      const auto outputs = last(function.outputs(), function.num_outputs());
      if (!outputs.empty() && outputs[0].isTensor() && outputs[0].toTensor().defined()) {
        const std::lock_guard lock(mutex_);
        OperatorCall& call = calls_[running.call.value];
        call.output = storages_.id_of(outputs[0].toTensor());
        call.output_tensor = tensor_facts(outputs[0].toTensor());
      }
    }
    running.call = {};
  }

  std::shared_ptr<Save> add_save(const at::Tensor& tensor) {
    const std::lock_guard lock(mutex_);
    // Outside every operator (a prim:: node that saves by itself) each save is a call of its own.
    const bool anonymous = running.recording != recording_ || running.depth == 0;
    if (anonymous) running = {recording_, 0, "(unknown)", {}};
    if (running.call.value < 0) begin_call();
    auto save = std::make_shared<Save>();
    save->record = {storages_.id_of(tensor), running.call, tensor_facts(tensor)};
    if (anonymous) running.call = {};
    saves_.push_back(save);
    return save;
  }

  void write_held(Trace& trace) {
    const std::lock_guard lock(mutex_);
    trace.storages = storages_.storages();
    trace.calls.assign(calls_.begin(), calls_.end());
    trace.saved.clear();
    for (const auto& save : saves_) {
      if (save->held) trace.saved.push_back(save->record);
    }
  }

 private:
  OperatorCall& begin_call() {
    OperatorCall& call = calls_.emplace_back();
    call.id = {static_cast<int64_t>(calls_.size()) - 1};
    call.op = running.op;
    sites_.resolve(callstack_through_forks(), call);
    running.call = call.id;
    return call;
  }

  static uint64_t next_recording() {
    static std::atomic<uint64_t> count{0};
    return ++count;
  }

  const uint64_t recording_ = next_recording();
  std::mutex mutex_;
  StorageTable storages_;
  CallSiteResolver sites_;
  std::deque<OperatorCall> calls_;
  std::vector<std::shared_ptr<Save>> saves_;
};

namespace {

using State = SavedTensorRecorder::State;

// LibTorch calls plain functions, so the active recorder must be reachable from everywhere.
std::mutex active_mutex;
std::shared_ptr<State> active_state;

std::shared_ptr<State> active() {
  const std::lock_guard lock(active_mutex);
  return active_state;
}

class SaveHook : public torch::autograd::SavedVariableHooks {
 public:
  explicit SaveHook(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~SaveHook() override {
    if (save_) save_->held = false;
  }

  void call_pack_hook(const at::Tensor& tensor) override {
    const bool was_muted = std::exchange(muted, true);
    // Keeping `tensor` itself would make a cycle: a saved output's grad_fn is the node being built.
    kept_ = tensor.detach();
    muted = was_muted;
    save_ = state_->add_save(kept_);
    state_.reset();
  }

  at::Tensor call_unpack_hook() override { return kept_; }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<Save> save_;
  at::Tensor kept_;
};

class RecordingEngine : public torch::autograd::Engine {
 public:
  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    auto state = active();
    if (!state) return nullptr;
    return std::make_unique<SaveHook>(std::move(state));
  }
};

torch::autograd::Engine& recording_engine() {
  // Never destroyed: LibTorch's worker threads may outlive static destruction.
  static RecordingEngine& engine = *new RecordingEngine;
  return engine;
}

std::unique_ptr<at::ObserverContext> on_operator_begin(const at::RecordFunction& function) {
  if (muted) return nullptr;
  if (const auto state = active()) state->begin_operator(function);
  return nullptr;
}

void on_operator_end(const at::RecordFunction& function, at::ObserverContext*) {
  if (muted) return;
  if (const auto state = active()) state->end_operator(function);
}

}  // namespace

SavedTensorRecorder::SavedTensorRecorder(const torch::jit::Module& top)
    : state_(std::make_shared<State>(top)) {
  torch::autograd::set_default_engine_stub(&recording_engine);
  {
    const std::lock_guard lock(active_mutex);
    if (active_state) throw_internal_error("Two recorders of saved tensors at once.");
    active_state = state_;
  }
  callback_handle_ =
      at::addGlobalCallback(at::RecordFunctionCallback(&on_operator_begin, &on_operator_end)
                                .needsInputs(true)
                                .needsOutputs(true)
                                .scopes({at::RecordScope::FUNCTION}));
}

SavedTensorRecorder::~SavedTensorRecorder() {
  at::removeCallback(callback_handle_);
  const std::lock_guard lock(active_mutex);
  active_state.reset();
}

void SavedTensorRecorder::write_held(Trace& trace) const {
  state_->write_held(trace);
}

}  // namespace invact
