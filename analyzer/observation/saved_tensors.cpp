#include "analyzer/observation/saved_tensors.h"

#include <ATen/record_function.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <span>

#include "analyzer/error.h"
#include "analyzer/model/model.h"
#include "analyzer/observation/call_sites.h"
#include "analyzer/observation/storage_table.h"

namespace invact {
namespace {

/// The operator that the model's code runs on this thread.
struct RunningOperator {
  uint64_t recording = 0;  ///< Which recorder saw it begin: a forked task may outlive its own.
  int64_t depth = 0;       ///< Operators within operators: linear calls addmm.
  std::string op;
  CallId call;
  /// The copy or cast within it that is running, and how deep.
  CallId inner_call;
  int64_t inner_depth = 0;
  std::chrono::steady_clock::time_point began;
};
thread_local RunningOperator running;

/// TorchScript hands an observer its whole stack; the operator's own values are the last ones.
std::span<const c10::IValue> last(std::span<const c10::IValue> values, size_t count) {
  return values.size() < count ? values : values.last(count);
}

/// Operators that others run inside themselves to make a second copy of a tensor: autocast's casts,
/// reshape() of what cannot be viewed.
bool makes_copy(std::string_view op) {
  return op == "aten::_to_copy" || op == "aten::clone";
}

template <typename Visit>
void visit_tensors(std::span<const c10::IValue> values, Visit visit) {
  const auto visit_one = [&](const c10::IValue& value) {
    if (value.isTensor() && value.toTensor().defined()) visit(value.toTensor());
  };
  for (const c10::IValue& value : values) {
    if (value.isList()) {
      if (value.isTensorList() || value.isOptionalTensorList()) {
        for (const c10::IValue& element : value.toListRef()) visit_one(element);
      }
    } else {
      visit_one(value);
    }
  }
}

struct Save {
  SavedTensor record;
  std::string op;
  c10::weak_intrusive_ptr<c10::StorageImpl> storage{c10::intrusive_ptr<c10::StorageImpl>()};
  std::atomic<bool> held{true};

  /// invact::release takes the memory from under a tensor that backward fills again.
  bool is_released(int64_t bytes) const {
    const auto memory = storage.lock();
    return memory && bytes > 0 && memory->nbytes() == 0;
  }
};

}  // namespace

class SavedTensorRecorder::State {
 public:
  explicit State(const torch::jit::Module& top) : storages_(top), sites_(top) {}

  void begin_operator(const at::RecordFunction& function) {
    if (running.recording != recording_) running = {recording_, 0, "", {}, {}, 0, {}};
    const int64_t depth = running.depth++;
    const bool inner = depth > 0;
    if (inner && (running.inner_call.value >= 0 || !makes_copy(function.name()))) return;
    const std::lock_guard lock(mutex_);
    if (inner) {
      running.inner_depth = depth;
      running.inner_call = begin_call(function.name());
    } else {
      running.op = function.name();
      running.inner_call = {};
      running.call = begin_call(running.op);
    }
    const auto inputs =
        last({function.inputs().data(), function.inputs().size()}, function.num_inputs());
    OperatorCall& call = calls_[inner ? running.inner_call.value : running.call.value];
    visit_tensors(
        inputs, [&](const at::Tensor& tensor) { call.inputs.push_back(storages_.id_of(tensor)); });
    if (!inner) running.began = std::chrono::steady_clock::now();
    if (inner || inputs.empty() || !inputs[0].isTensor() || !inputs[0].toTensor().defined()) return;
    call.input_is_view = inputs[0].toTensor().is_view();
    call.input_requires_grad = inputs[0].toTensor().requires_grad();
  }

  void end_operator(const at::RecordFunction& function) {
    if (running.recording != recording_) return;
    const int64_t depth = --running.depth;
    const bool inner = depth > 0;
    if (inner && (running.inner_call.value < 0 || running.inner_depth != depth)) return;
    CallId& ended = inner ? running.inner_call : running.call;
    if (ended.value >= 0) {
      const auto ran =
          inner ? std::chrono::nanoseconds(0) : std::chrono::steady_clock::now() - running.began;
      const std::lock_guard lock(mutex_);
      calls_[ended.value].forward_ns = std::chrono::nanoseconds(ran).count();
      add_outputs(last(function.outputs(), function.num_outputs()), calls_[ended.value]);
    }
    ended = {};
  }

  std::shared_ptr<Save> add_save(const at::Tensor& tensor) {
    const std::lock_guard lock(mutex_);
    // Outside every operator (a prim:: node that saves by itself) each save is a call of its own.
    const bool anonymous = running.recording != recording_ || running.depth == 0;
    if (anonymous) running = {recording_, 0, "(unknown)", {}, {}, 0, {}};
    if (running.call.value < 0) running.call = begin_call(running.op);
    auto save = std::make_shared<Save>();
    save->record = {storages_.id_of(tensor), running.call, tensor_facts(tensor)};
    save->op = calls_[running.call.value].op;
    if (tensor.has_storage()) save->storage = tensor.storage().getWeakStorageImpl();
    if (anonymous) running.call = {};
    saves_.push_back(save);
    return save;
  }

  void write_held(Trace& trace, AllocationRecorder* allocations) {
    const std::lock_guard lock(mutex_);
    trace.storages = storages_.storages();
    trace.calls.assign(calls_.begin(), calls_.end());
    trace.saved.clear();
    for (const auto& save : saves_) {
      const StorageId id = save->record.storage;
      if (!save->held || save->is_released(trace.storages[id.value].bytes)) continue;
      trace.saved.push_back(save->record);
      const auto memory = save->storage.lock();
      if (allocations != nullptr && memory) allocations->mark_saved(memory->data(), id);
    }
  }

 private:
  CallId begin_call(const std::string& op) {
    OperatorCall& call = calls_.emplace_back();
    call.id = {static_cast<int64_t>(calls_.size()) - 1};
    call.op = op;
    sites_.resolve(callstack_through_forks(), call);
    return call.id;
  }

  void add_outputs(std::span<const c10::IValue> outputs, OperatorCall& call) {
    visit_tensors(outputs, [&](const at::Tensor& tensor) {
      call.outputs.push_back(storages_.id_of(tensor));
    });
    if (outputs.empty() || !outputs[0].isTensor() || !outputs[0].toTensor().defined()) return;
    call.output = call.outputs.front();
    call.output_tensor = tensor_facts(outputs[0].toTensor());
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
    // Our own detach() is no operator of the model.
    const at::RecordFunctionGuard no_observers(/*is_enabled=*/false);
    // Holding `tensor` itself would make a cycle, since the grad_fn of a saved output is the node
    // that is being built.
    saved_ = tensor.detach();
    version_ = saved_._version();
    save_ = state_->add_save(saved_);
    state_.reset();
  }

  /// LibTorch compares versions only of tensors without hooks, so this makes its check.
  at::Tensor call_unpack_hook() override {
    TORCH_CHECK(saved_._version() == version_,
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: a tensor of shape ",
                saved_.sizes(), " that ", save_->op, " keeps is at version ", saved_._version(),
                "; expected version ", version_, " instead");
    return saved_;
  }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<Save> save_;
  at::Tensor saved_;
  int64_t version_ = 0;
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
  if (const auto state = active()) state->begin_operator(function);
  return nullptr;
}

void on_operator_end(const at::RecordFunction& function, at::ObserverContext*) {
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

void SavedTensorRecorder::write_held(Trace& trace, AllocationRecorder* allocations) const {
  state_->write_held(trace, allocations);
}

}  // namespace invact
