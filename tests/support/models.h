// Small models made from TorchScript source, for tests that must know every byte by hand.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <string>
#include <utility>
#include <vector>

#include "analyzer/inputs/inputs.h"
#include "analyzer/model/model.h"

namespace invact::testing {

/// A normal parameter from a generator seeded by the shape; float32.
at::Tensor parameter(std::vector<int64_t> shape, bool requires_grad = true);

/// A module with these parameters whose methods are defined by `source`.
torch::jit::Module make_module(const std::string& name,
                               const std::vector<std::pair<std::string, at::Tensor>>& parameters,
                               const std::string& source);

/// x [n, in] -> linear -> `activation`(h) -> linear. `activation` is TorchScript source in terms of
/// h, "torch.gelu(h)". Parameters w1 [hidden, in], w2 [out, hidden].
torch::jit::Module make_mlp(const std::string& activation, int64_t in, int64_t hidden, int64_t out);

/// Saves `module` into a folder of this process and loads it as the command line does: source
/// ranges are those of the archive. @returns the Model; `model.record.path` names the file.
Model saved_and_loaded(const torch::jit::Module& module);

/// One argument: normal numbers, kRows x columns.
constexpr int64_t kRows = 8;
ModelInputs rows(int64_t columns);

/// A path in a folder of this process that is removed when it ends.
std::string temporary_path(const std::string& name);

}  // namespace invact::testing
