// Model: a TorchScript file, loaded and described. The first stage; everything that follows starts
// from it.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

struct Model {
  torch::jit::Module module;
  ModelRecord record;
  /// Arguments that `forward` was traced with; only shapes and dtypes are meaningful, the archive
  /// drops the data. None where the model was scripted.
  std::optional<std::vector<c10::IValue>> traced_inputs;
  /// The archive's extra files, by name without "extra/"; a rewrite carries them over.
  std::unordered_map<std::string, std::string> extra_files;
};

/// Loads `path` onto `device` and hashes it. @throws Error(kModel) where the file is missing,
/// unreadable, no TorchScript archive, truncated, or uses an operator that no loaded library
/// provides.
Model load_model(const std::string& path, c10::Device device);

/// A Model around a module that was made in memory (tests). Its path and digest are empty.
Model wrap_module(torch::jit::Module module);

/// SHA-256 of a file's bytes as lower-case hex digits, so that a report names the exact model that
/// it speaks of. @throws Error(kModel) where the file cannot be read.
std::string sha256_of_file(const std::string& path);

/// @throws Error(kModel) where the model was frozen: its weights are constants, so that nothing can
/// be trained.
void refuse_frozen(const Model& model);

/// The qualified name of a module's class; empty where it has none.
std::string class_name(const torch::jit::Module& module);

/// Path and type of every module, parents first; the top module's path is empty.
std::vector<ModuleRecord> module_records(const torch::jit::Module& top);

/// "float32" for at::kFloat.
std::string dtype_name(c10::ScalarType dtype);

/// dtype, sizes and bytes of a defined tensor.
TensorFacts tensor_facts(const at::Tensor& tensor);

}  // namespace invact
