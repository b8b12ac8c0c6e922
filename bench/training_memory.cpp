#include "bench/training_memory.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

#include "kernels/ops.h"

namespace invact::bench {
namespace {

/// Bytes in use, and the most there were.
class Ledger {
 public:
  void add(int64_t bytes) {
    bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, bytes_);
  }
  void remove(int64_t bytes) { bytes_ -= bytes; }
  int64_t bytes() const { return bytes_; }
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  int64_t bytes_ = 0;
  int64_t peak_bytes_ = 0;
};

struct Block {
  at::Tensor up;
  at::Tensor down;
};

class Model {
 public:
  Model(const TrainingShape& shape, c10::DeviceType device) {
    at::manual_seed(1);
    const auto normal = [&](int64_t rows, int64_t columns) {
      return at::randn({rows, columns}, at::TensorOptions(device).dtype(at::kFloat))
          .mul_(0.02)
          .to(shape.dtype);
    };
    for (int64_t i = 0; i < shape.blocks; ++i) {
      blocks_.push_back({normal(shape.hidden, shape.width).requires_grad_(),
                         normal(shape.width, shape.hidden).requires_grad_()});
    }
    input_ = normal(shape.rows, shape.width);
    grad_output_ = normal(shape.rows, shape.width);
  }

  /// `mark` is called between forward and backward. A variable lives no longer than a model written
  /// in Python or TorchScript holds it.
  void step(TrainedActivation::Call activation, Work mark) {
    at::Tensor output = forward(activation);
    mark();
    torch::autograd::backward({output}, {grad_output_});
  }

  void clear_gradients() {
    for (Block& block : blocks_) {
      block.up.mutable_grad() = at::Tensor();
      block.down.mutable_grad() = at::Tensor();
    }
  }

 private:
  at::Tensor forward(TrainedActivation::Call activation) const {
    at::Tensor value = input_;
    for (const Block& block : blocks_) {
      value = at::linear(value, block.up);
      value = activation(value);
      value = at::linear(value, block.down);
    }
    return value;
  }

  std::vector<Block> blocks_;
  at::Tensor input_;
  at::Tensor grad_output_;
};

}  // namespace

const std::vector<TrainedActivation>& trained_activations() {
  using T = const at::Tensor&;
  static const std::vector<TrainedActivation> kActivations = {
      {"gelu", [](T x) { return at::gelu(x); }, [](T x) { return invact::gelu(x); }, 1},
      {"silu", [](T x) { return at::silu(x); }, [](T x) { return invact::silu(x); }, 1},
      {"mish", [](T x) { return at::mish(x); }, [](T x) { return invact::mish(x); }, 1},
      {"hardswish", [](T x) { return at::hardswish(x); }, [](T x) { return invact::hardswish(x); },
       1},
      {"elu", [](T x) { return at::elu(x); }, [](T x) { return invact::elu(x); }, 0},
  };
  return kActivations;
}

MemoryUse predict_memory(const TrainingShape& shape, bool saves_input, int branch_bits) {
  const int64_t element_bytes = static_cast<int64_t>(c10::elementSize(shape.dtype));
  const int64_t hidden = shape.rows * shape.hidden * element_bytes;
  const int64_t narrow = shape.rows * shape.width * element_bytes;
  const int64_t weight = shape.width * shape.hidden * element_bytes;
  const int64_t bits = (shape.rows * shape.hidden * branch_bits + 7) / 8;

  Ledger memory;
  for (int64_t i = 0; i < shape.blocks; ++i) {
    memory.add(hidden);         // f's input
    memory.add(hidden + bits);  // f's output, which the second linear saves in any case
    if (!saves_input) memory.remove(hidden);
    memory.add(narrow);  // the result, which the next block's first linear saves
  }
  MemoryUse use{memory.bytes(), 0};
  for (int64_t i = shape.blocks - 1; i >= 0; --i) {
    memory.add(hidden + weight);  // the second linear's gradients
    // Of its result: the caller gave the last block's.
    if (i < shape.blocks - 1) memory.remove(narrow);
    if (saves_input) memory.remove(hidden);  // f's output, which ATen's f does not save
    memory.add(hidden);                      // f's gradient
    memory.remove(2 * hidden + bits);        // that of its output, and what it saved
    memory.add(weight);                      // the first linear's gradients
    if (i > 0) memory.add(narrow);
    memory.remove(hidden);
    if (i > 0) memory.remove(narrow);  // its input
  }
  use.peak_bytes = memory.peak_bytes();
  return use;
}

MemoryUse measure_memory(const TrainingShape& shape, c10::DeviceType device,
                         TrainedActivation::Call activation) {
  Model model(shape, device);
  model.step(activation, [] {});
  model.clear_gradients();
  return memory_use(device, [&](Work mark) { model.step(activation, mark); });
}

}  // namespace invact::bench
