#include "tests/kernels/saved_tensor_recorder.h"

#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>
#include <utility>

namespace invact::testing {
namespace {

SavedTensorRecorder* current_recorder = nullptr;

}  // namespace

struct RecordingHooks : torch::autograd::SavedVariableHooks {
  explicit RecordingHooks(SavedTensorRecorder* recorder)
      : unpack(recorder->unpack_), recorder(recorder) {}

  void call_pack_hook(const at::Tensor& tensor) override {
    saved = tensor.detach();
    recorder->saved_.push_back(saved);
  }
  at::Tensor call_unpack_hook() override { return unpack ? unpack(saved) : saved; }

  std::function<at::Tensor(const at::Tensor&)> unpack;
  SavedTensorRecorder* recorder;  // alive while packing; unpacking does not need it
  at::Tensor saved;
};

namespace {

// The C++ door to default saved-tensor hooks: the engine is asked for them at every save.
class RecordingEngine : public torch::autograd::Engine {
 public:
  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    if (current_recorder == nullptr) return nullptr;
    return std::make_unique<RecordingHooks>(current_recorder);
  }
};

torch::autograd::Engine& recording_engine() {
  // Never destroyed: its threads outlive main.
  static RecordingEngine& engine = *new RecordingEngine;
  return engine;
}

// Before any use of autograd in the process.
[[maybe_unused]] const bool kInstalled = [] {
  torch::autograd::set_default_engine_stub(&recording_engine);
  return true;
}();

}  // namespace

SavedTensorRecorder::SavedTensorRecorder(std::function<at::Tensor(const at::Tensor&)> unpack)
    : unpack_(std::move(unpack)) {
  current_recorder = this;
}

SavedTensorRecorder::~SavedTensorRecorder() {
  current_recorder = nullptr;
}

}  // namespace invact::testing
