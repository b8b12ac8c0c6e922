#include "rewriter/apply.h"

#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import.h>

#include <map>
#include <sstream>

#include "analyzer/call_sites.h"
#include "analyzer/error.h"
#include "kernels/register.h"
#include "rewriter/graph_sites.h"

namespace invact {

const char* const kProvenanceFile = "invact.json";

namespace {

using torch::jit::Node;

/// A copy with its own code. Loading the file again keeps everything (class names, tied weights,
/// debug records) as it is, which Module::clone() does not.
torch::jit::Module fresh_copy(const Model& model) {
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

/// The node that `site` names in `module`'s own code.
Node* find_node(const torch::jit::Module& module, const Site& site) {
  const SiteLocation& location = site.location;
  const auto owner = find_submodule(module, location.module_path);
  const auto method = owner ? owner->find_method(location.method) : std::nullopt;
  if (!method) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  const auto graph = method->graph();
  if (graph_fingerprint(*graph) != location.graph_fingerprint) {
    throw_internal_error(
        fmt::format("The plan's site {} was made for other code than this model's.", site.id));
  }
  const auto nodes = nodes_in_order(*graph);
  Node* const node = nodes.at(static_cast<size_t>(location.node_index));
  if (node->kind().toQualString() != site.op) {
    throw_internal_error(fmt::format("The plan's site {} is a {}, not {}.", site.id,
                                     node->kind().toQualString(), site.op));
  }
  return node;
}

void replace(Node* node, const std::string& replacement) {
  torch::jit::Graph& graph = *node->owningGraph();
  Node* const made =
      graph.create(c10::Symbol::fromQualString(replacement), node->inputs(), /*num_outputs=*/1);
  made->insertBefore(node);
  made->copyMetadata(node);
  made->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(made->output());
  if (!made->maybeSchema()) {
    throw_internal_error(fmt::format("{} does not take the arguments of {}.", replacement,
                                     node->kind().toQualString()));
  }
  node->destroy();
}

}  // namespace

torch::jit::Module apply_plan(const Model& model, const Plan& plan) {
  kernels::ensure_registered();
  torch::jit::Module module = fresh_copy(model);
  // Every node is found before any is edited: instances of one class share their code, so that two
  // sites may name one node, and an edit would change the fingerprint that the next one is checked
  // against.
  std::map<Node*, std::string> replacements;
  for (const Site& site : plan.sites) {
    if (site.accepted) replacements.emplace(find_node(module, site), site.replacement);
  }
  for (const auto& [node, replacement] : replacements) {
    const auto graph = node->owningGraph();
    replace(node, replacement);
    graph->lint();
  }
  return module;
}

void save_module(const torch::jit::Module& module, const Model& original,
                 const std::string& provenance, const std::string& path) {
  torch::jit::Module to_save = module;
  if (original.traced_inputs) to_save.store_traced_inputs("forward", *original.traced_inputs);
  auto extra_files = original.extra_files;
  extra_files[kProvenanceFile] = provenance;
  try {
    to_save.save(path, extra_files);
  } catch (const c10::Error& error) {
    throw_environment_error(fmt::format("Cannot write '{}': {}.", path,
                                        first_sentence(error.what_without_backtrace())));
  }
}

}  // namespace invact
