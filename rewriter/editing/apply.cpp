#include "rewriter/editing/apply.h"

#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import.h>

#include <fstream>
#include <sstream>
#include <unordered_map>

#include "analyzer/error.h"
#include "kernels/register.h"
#include "rewriter/editing/code_editor.h"
#include "rewriter/editing/code_edits.h"
#include "rewriter/editing/module_classes.h"
#include "rewriter/editing/original_code.h"
#include "rewriter/editing/segment_code.h"

namespace invact {

const char* const kProvenanceFile = "invact.json";

namespace {

using torch::jit::Module;

/// A copy with its own code. Loading the file again leaves everything (class names, tied weights,
/// debug records) as it is, which Module::clone() does not.
Module fresh_copy(const Model& model) {
  try {
    if (!model.record.path.empty()) return torch::jit::load(model.record.path);
    std::stringstream archive;
    model.module.save(archive);
    return torch::jit::load(archive);
  } catch (const c10::Error& error) {
    throw_internal_error(fmt::format("Cannot copy '{}': {}.", model.record.path,
                                     first_sentence(error.what_without_backtrace())));
  }
}

}  // namespace

Module apply_plan(const Model& model, const Plan& plan) {
  kernels::ensure_registered();
  const Module copy = fresh_copy(model);
  VariantOf variants;
  for (const auto& [instance, edits] : collect_edits(copy, plan)) {
    variants[instance] = signature(edits);
  }
  Module module = split_classes(copy, variants);
  // Instances of one class share their code, which is edited once; now all of them agree. In the
  // plan's order, so that the same plan gives the same names.
  CodeEditor editor(module, collect_edits(module, plan));
  for (const Site& site : plan.sites) {
    if (!site.decision.accepted) continue;
    editor.edit(site.place.module_path, site.place.method);
    const auto* const segment = std::get_if<Recompute>(&site.edit);
    if (!segment) continue;
    for (const Consumer& consumer : segment->consumers) {
      editor.edit(consumer.place.module_path, consumer.place.method);
    }
  }
  return module;
}

RestoredModel restore_original(const Model& rewritten) {
  const Module copy = fresh_copy(rewritten);
  CodeRestorer restorer(copy._ivalue()->compilation_unit());
  int64_t restored_methods = 0;
  for (const Module& module : copy.modules()) {
    restored_methods += restore_original_code(module);
    remove_segment_methods(module);
  }
  for (const Module& module : copy.modules()) {
    for (auto* function : module.type()->methods()) {
      restorer.restore(*torch::jit::toGraphFunction(*function).graph());
    }
  }
  return {join_classes(copy), restorer.restored_operators() + restored_methods};
}

void save_module(const Module& module, const Model& original, const std::string& provenance,
                 const std::string& path) {
  Module to_save = module;
  if (original.traced_inputs) to_save.store_traced_inputs("forward", *original.traced_inputs);
  auto extra_files = original.extra_files;
  extra_files.erase(kProvenanceFile);
  if (!provenance.empty()) extra_files[kProvenanceFile] = provenance;
  // Through a stream: the name of a file, a temporary one here, would become the archive's.
  std::ofstream file(path, std::ios::binary);
  try {
    to_save.save(file, extra_files);
  } catch (const c10::Error& error) {
    throw_environment_error(fmt::format("Cannot write '{}': {}.", path,
                                        first_sentence(error.what_without_backtrace())));
  }
  file.close();
  if (!file) throw_environment_error(fmt::format("Cannot write '{}': is the disk full?", path));
}

}  // namespace invact
