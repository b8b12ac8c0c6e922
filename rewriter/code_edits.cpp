#include "rewriter/code_edits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "analyzer/call_sites.h"
#include "analyzer/error.h"
#include "rewriter/inlined_model.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Graph;
using torch::jit::Module;
using torch::jit::Node;

std::shared_ptr<Graph> called_graph(const Node& call, const Site& site) {
  auto graph = call.kind() == prim::CallFunction ? called_function_graph(call) : nullptr;
  if (!graph)
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  return graph;
}

Node* node_at(Graph& graph, int64_t index, const Site& site) {
  const auto nodes = nodes_in_order(graph);
  if (index < 0 || static_cast<size_t>(index) >= nodes.size()) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return nodes[static_cast<size_t>(index)];
}

/// @throws Error(kInternal) where the code at `site` is not what it was when the plan was made.
void check_code(const torch::jit::Method& method, const Site& site) {
  std::shared_ptr<Graph> graph = method.graph();
  std::string fingerprint = graph_fingerprint(*graph);
  for (const int64_t index : site.location.function_calls) {
    graph = called_graph(*node_at(*graph, index, site), site);
    fingerprint += graph_fingerprint(*graph);
  }
  if (fingerprint != site.location.graph_fingerprint) {
    throw_internal_error(
        fmt::format("The plan's site {} was made for other code than this model's.", site.id));
  }
  const Node* const node = node_at(*graph, site.location.node_index, site);
  if (site.location.pattern_nodes.empty() && node->kind().toQualString() != site.op) {
    throw_internal_error(fmt::format("The plan's site {} is a {}, not {}.", site.id,
                                     node->kind().toQualString(), site.op));
  }
}

}  // namespace

std::string CodeEdits::signature() const {
  std::string text;
  for (const auto& [index, replacement] : replacements) {
    text += fmt::format("{}={}", index, replacement.op);
    for (const SiteArgument& argument : replacement.arguments) {
      if (const auto* const shape = std::get_if<std::vector<int64_t>>(&argument.constant)) {
        text += fmt::format("[{}]", fmt::join(*shape, ","));
      }
    }
    text += ",";
  }
  for (const auto& [index, edits] : calls) {
    text += fmt::format("{}({}),", index, edits.signature());
  }
  return text;
}

bool CodeEdits::replaces_patterns() const {
  const auto is_pattern = [](const auto& entry) { return !entry.second.pattern_nodes.empty(); };
  const auto has_pattern = [](const auto& entry) { return entry.second.replaces_patterns(); };
  return std::any_of(replacements.begin(), replacements.end(), is_pattern) ||
         std::any_of(calls.begin(), calls.end(), has_pattern);
}

std::string signature(const ModuleEdits& edits) {
  std::string text;
  for (const auto& [method, code] : edits) text += method + ":" + code.signature() + ";";
  return text;
}

Module owner_of(const Module& top, const Site& site) {
  const auto owner = find_submodule(top, site.location.module_path);
  if (!owner || !owner->find_method(site.location.method)) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return *owner;
}

std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(const Module& top,
                                                                          const Plan& plan) {
  std::unordered_map<const c10::ivalue::Object*, ModuleEdits> edits;
  for (const Site& site : plan.sites) {
    if (!site.accepted) continue;
    const Module owner = owner_of(top, site);
    check_code(owner.get_method(site.location.method), site);
    CodeEdits* code = &edits[owner._ivalue().get()][site.location.method];
    for (const int64_t call : site.location.function_calls) code = &code->calls[call];
    code->replacements[site.location.node_index] = {site.replacement, site.location.pattern_nodes,
                                                    site.location.arguments};
  }
  return edits;
}

}  // namespace invact
