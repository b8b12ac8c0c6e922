#include "rewriter/editing/code_edits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "analyzer/error.h"
#include "analyzer/model/module_paths.h"
#include "rewriter/graph/inlined_model.h"

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
void check_fingerprint(const std::string& fingerprint, const std::string& expected,
                       const Site& site) {
  if (fingerprint == expected) return;
  throw_internal_error(
      fmt::format("The plan's site {} was made for other code than this model's.", site.id));
}

/// The code of a method or of the last of the functions called from it.
std::shared_ptr<Graph> checked_code(const torch::jit::Method& method,
                                    const std::vector<int64_t>& function_calls,
                                    const std::string& expected, const Site& site) {
  std::shared_ptr<Graph> graph = method.graph();
  std::string fingerprint = graph_fingerprint(*graph);
  for (const int64_t index : function_calls) {
    graph = called_graph(*node_at(*graph, index, site), site);
    fingerprint += graph_fingerprint(*graph);
  }
  check_fingerprint(fingerprint, expected, site);
  return graph;
}

/// The same for a chain, whose nodes may stand in what the method calls.
void check_chain(const Module& owner, const Site& site) {
  const auto home = owner.get_method(site.location.method).graph();
  std::string fingerprint = graph_fingerprint(*home);
  std::set<NodePath> seen;
  for (const NodePath& path : site.location.chain) {
    std::vector<std::string> on_the_way;  // Outermost first; the innermost counts first.
    Module module = owner;
    std::shared_ptr<Graph> graph = home;
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      graph = called_code(module, *node_at(*graph, path[i], site), module);
      if (!graph) check_fingerprint("", site.location.graph_fingerprint, site);
      const NodePath prefix(path.begin(), path.begin() + static_cast<int64_t>(i) + 1);
      if (seen.insert(prefix).second) on_the_way.push_back(graph_fingerprint(*graph));
    }
    for (auto code = on_the_way.rbegin(); code != on_the_way.rend(); ++code) fingerprint += *code;
    node_at(*graph, path.back(), site);
  }
  check_fingerprint(fingerprint, site.location.graph_fingerprint, site);
}

void check_code(const torch::jit::Method& method, const Site& site) {
  const auto graph =
      checked_code(method, site.location.function_calls, site.location.graph_fingerprint, site);
  const Node* const node = node_at(*graph, site.location.node_index, site);
  if (site.location.pattern_nodes.empty() && node->kind().toQualString() != site.op) {
    throw_internal_error(fmt::format("The plan's site {} is a {}, not {}.", site.id,
                                     node->kind().toQualString(), site.op));
  }
}

Module module_with_method(const Module& top, const std::string& path, const std::string& method,
                          const Site& site) {
  const auto module = find_submodule(top, path);
  if (!module || !module->find_method(method)) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return *module;
}

void add_release(const Module& top, const SiteReader& reader, const Site& site,
                 std::unordered_map<const c10::ivalue::Object*, ModuleEdits>& edits) {
  const Module owner = module_with_method(top, reader.module_path, reader.method, site);
  const auto graph = checked_code(owner.get_method(reader.method), reader.function_calls,
                                  reader.graph_fingerprint, site);
  node_at(*graph, reader.node_index, site);
  CodeEdits* code = &edits[owner._ivalue().get()][reader.method];
  for (const int64_t call : reader.function_calls) code = &code->calls[call];
  const Release release = {reader.node_index, reader.tensor_node, reader.tensor_position,
                           reader.saves,      reader.last,        reader.copies};
  // A region that runs several times names its readers once per module instance.
  if (std::ranges::count(code->releases, release) == 0) code->releases.push_back(release);
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
  for (const auto& chain : chains) {
    text += "chain";
    for (const NodePath& path : chain) text += fmt::format(" {}", fmt::join(path, "."));
    text += ",";
  }
  for (const Release& release : releases) {
    text += fmt::format("release {} {} {} {} {} {},", release.node_index, release.tensor_node,
                        release.tensor_position, release.saves, release.last, release.copies);
  }
  return text;
}

bool CodeEdits::replaces_patterns() const {
  const auto is_pattern = [](const auto& entry) { return !entry.second.pattern_nodes.empty(); };
  const auto has_pattern = [](const auto& entry) { return entry.second.replaces_patterns(); };
  return !chains.empty() || std::ranges::any_of(releases, &Release::copies) ||
         std::any_of(replacements.begin(), replacements.end(), is_pattern) ||
         std::any_of(calls.begin(), calls.end(), has_pattern);
}

std::string signature(const ModuleEdits& edits) {
  std::string text;
  for (const auto& [method, code] : edits) text += method + ":" + code.signature() + ";";
  return text;
}

Module owner_of(const Module& top, const Site& site) {
  return module_with_method(top, site.location.module_path, site.location.method, site);
}

std::shared_ptr<Graph> called_code(const Module& owner, const Node& call, Module& callee) {
  if (call.kind() == prim::CallFunction) {
    callee = owner;
    return called_function_graph(call);
  }
  if (call.kind() != prim::CallMethod) return nullptr;
  const auto path = submodule_path(call.input(0));
  const auto module = path ? find_submodule(owner, *path) : std::nullopt;
  const auto method = module ? module->find_method(call.s(torch::jit::attr::name)) : std::nullopt;
  if (!method) return nullptr;
  callee = *module;
  return method->graph();
}

std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(const Module& top,
                                                                          const Plan& plan) {
  std::unordered_map<const c10::ivalue::Object*, ModuleEdits> edits;
  for (const Site& site : plan.sites) {
    if (!site.accepted) continue;
    const Module owner = owner_of(top, site);
    if (!site.location.chain.empty()) {
      check_chain(owner, site);
      edits[owner._ivalue().get()][site.location.method].chains.push_back(site.location.chain);
      for (const SiteReader& reader : site.location.readers) {
        add_release(top, reader, site, edits);
      }
      continue;
    }
    check_code(owner.get_method(site.location.method), site);
    CodeEdits* code = &edits[owner._ivalue().get()][site.location.method];
    for (const int64_t call : site.location.function_calls) code = &code->calls[call];
    code->replacements[site.location.node_index] = {site.replacement, site.location.pattern_nodes,
                                                    site.location.arguments};
  }
  return edits;
}

}  // namespace invact
