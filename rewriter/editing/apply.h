// Applies a Plan to a fresh copy of the model, and takes a plan's edits back. code_editor.h edits
// the graphs.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

#include "analyzer/model/model.h"
#include "rewriter/plan.h"

namespace invact {

/// A new module in which every accepted site of `plan` runs its replacement. `model` stays as it
/// is; parameters, buffers and `state_dict` keys are those of `model`. The operator library must be
/// registered.
/// @throws Error(kInternal) where the plan was made for another model.
torch::jit::Module apply_plan(const Model& model, const Plan& plan);

struct RestoredModel {
  torch::jit::Module module;
  /// Nodes that became ATen's again, and methods whose original code came back; 0: nothing was to
  /// be done.
  int64_t operator_count = 0;
};

/// The module that `rewritten` was made from, with the parameters and buffers that it has now:
/// every operator of the library is ATen's again, and what apply_plan split is joined. The operator
/// library must be registered.
RestoredModel restore_original(const Model& rewritten);

/// Writes `module` to `path`, with the example inputs and extra files of the model that it was made
/// from, and `provenance` as the extra file `invact.json`; none where it is empty. @throws
/// Error(kEnvironment) where the file cannot be written.
void save_module(const torch::jit::Module& module, const Model& original,
                 const std::string& provenance, const std::string& path);

/// Name of the extra file that records what a rewrite did.
extern const char* const kProvenanceFile;

}  // namespace invact
