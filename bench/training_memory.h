// Memory of a training step of Linear-f-Linear blocks: measured, and predicted from what each side
// saves. The saving is f's input; what it is worth at the peak depends on how many blocks lie
// between a block's forward and its backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "bench/device.h"

namespace invact::bench {

/// A stack of blocks `rows` x width -> hidden -> width, without biases; no gradient for its input.
struct TrainingShape {
  int64_t blocks;
  int64_t rows;
  int64_t width;
  int64_t hidden;
  at::ScalarType dtype;
};

/// An activation and ATen's, which saves its input.
struct TrainedActivation {
  using Call = at::Tensor (*)(const at::Tensor&);
  std::string name;
  Call aten;
  Call ours;
  int branch_bits;  ///< What ours saves per element beside its output.
};

const std::vector<TrainedActivation>& trained_activations();

/// `saved_bytes` counts what lives between forward and backward: saved tensors and the result.
MemoryUse predict_memory(const TrainingShape& shape, bool saves_input, int branch_bits);

/// The second of two steps: the first makes what stays (workspaces of cuBLAS).
MemoryUse measure_memory(const TrainingShape& shape, c10::DeviceType device,
                         TrainedActivation::Call activation);

}  // namespace invact::bench
