// Models with recompute segments beside the same models without, and steps of both to compare.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/saved_tensor_recorder.h"

namespace invact::testing {

/// One thread: the order of a reduction is the same then, from whichever thread it is called.
class OneThread : public ::testing::Test {
 protected:
  OneThread();
  ~OneThread() override;

 private:
  int threads_before_;
};

/// The operators, called as from C++. `extra`: a tuple, or None.
at::Tensor recompute(const torch::jit::Module& module, const std::string& method,
                     const std::vector<at::Tensor>& inputs, const c10::IValue& extra = {});
void release(const at::Tensor& self, const std::vector<at::Tensor>& users, bool last);

struct Shape {
  std::string name;
  std::vector<int64_t> sizes;
};

/// A module of normal float32 parameters from a fixed seed, with the methods of `source`.
torch::jit::Module make_model(const std::vector<Shape>& parameters, const std::string& source);

/// Methods of TorchScript source, which may name operators as saved code does: ops.invact.release.
void define(torch::jit::Module& module, const std::string& source);

/// One training step: everything that must agree bit for bit.
struct Step {
  at::Tensor output;
  std::vector<at::Tensor> gradients;  ///< Of the input, then of the parameters; undefined if none.
  int64_t next;                       ///< next_random() after forward.
};

using Forward = std::function<at::Tensor(torch::jit::Module& model, const at::Tensor& input)>;
using Backward = std::function<void(const at::Tensor& output, const at::Tensor& grad_output)>;

/// Forward and backward of `model` on a leaf with `input`'s data, from a fixed seed.
Step step(torch::jit::Module& model, const at::Tensor& input, const Backward& backward = nullptr,
          const Forward& forward = nullptr);

void expect_equal(const Step& found, const Step& expected);

/// Both executors, three steps each, against `plain` without optimizations.
void expect_same_training(torch::jit::Module& segments, torch::jit::Module& plain,
                          const at::Tensor& input, const Backward& backward = nullptr,
                          const Forward& forward = nullptr);

/// Bytes of the distinct storages that were saved, as they are now, in the order of saving; those
/// that were given back count none.
std::vector<int64_t> storage_bytes(const SavedTensorRecorder& recorder);

/// A residual block: norm, linear, gelu and dropout, linear. `block_source(true)` with segments.
std::vector<Shape> block_parameters();
std::string block_source(bool has_segments);

/// A norm, its three linears and attention.
std::vector<Shape> attention_parameters();
std::string attention_source(bool has_segments);

/// The norm and gelu of `block_source` as methods, for models of other shape.
extern const char* const kSegmentMethods;

}  // namespace invact::testing
