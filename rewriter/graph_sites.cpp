#include "rewriter/graph_sites.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <set>
#include <unordered_map>

#include "analyzer/call_sites.h"
#include "analyzer/source_lines.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Graph;
using torch::jit::Node;

void append_nodes(torch::jit::Block* block, std::vector<Node*>& nodes) {
  for (Node* node : block->nodes()) {
    nodes.push_back(node);
    for (torch::jit::Block* inner : node->blocks()) append_nodes(inner, nodes);
  }
}

class SiteWalker {
 public:
  explicit SiteWalker(torch::jit::Module top) : top_(std::move(top)) {}

  std::vector<GraphSite> walk() {
    walk_method(top_, "", "forward");
    return std::move(sites_);
  }

 private:
  void walk_method(const torch::jit::Module& module, const std::string& path,
                   const std::string& method) {
    if (!visited_.emplace(path, method).second) return;
    const auto found = module.find_method(method);
    if (!found) return;
    SiteLocation location;
    location.module_path = path;
    location.module_type = module.type()->name() ? module.type()->name()->qualifiedName() : "";
    location.method = method;
    walk_graph(module, found->graph(), location, "");
  }

  void walk_graph(const torch::jit::Module& module, const std::shared_ptr<Graph>& graph,
                  SiteLocation location, const std::string& function) {
    const std::string fingerprint = graph_fingerprint(*graph);
    const auto nodes = nodes_in_order(*graph);
    for (size_t i = 0; i < nodes.size(); ++i) {
      Node* const node = nodes[i];
      if (const auto match = match_activation(node)) {
        location.node_index = static_cast<int64_t>(i);
        location.graph_fingerprint = fingerprint;
        sites_.push_back({location, code_range(node->sourceRange()), *match, graph,
                          node->owningBlock() != graph->block(), function});
      } else if (node->kind() == prim::CallMethod) {
        follow_method(module, *graph, *node, location);
      } else if (node->kind() == prim::CallFunction) {
        follow_function(module, *node, location);
      }
    }
  }

  void follow_method(const torch::jit::Module& module, const Graph& graph, const Node& call,
                     const SiteLocation& location) {
    const auto path = submodule_path(graph, call.input(0));
    const auto child = path ? find_submodule(module, *path) : std::nullopt;
    if (!child) return;
    walk_method(*child, join_module_path(location.module_path, *path), call.s(attr::name));
  }

  void follow_function(const torch::jit::Module& module, const Node& call,
                       const SiteLocation& location) {
    const auto graph = called_function_graph(call);
    // Function calls cannot be recursive in TorchScript, so this ends.
    if (!graph) return;
    const auto type = call.input(0)->type()->expect<c10::FunctionType>();
    walk_graph(module, graph, location, type->function()->name());
  }

  torch::jit::Module top_;
  std::set<std::pair<std::string, std::string>> visited_;
  std::vector<GraphSite> sites_;
};

}  // namespace

std::vector<Node*> nodes_in_order(Graph& graph) {
  std::vector<Node*> nodes;
  append_nodes(graph.block(), nodes);
  return nodes;
}

std::string graph_fingerprint(Graph& graph) {
  // FNV-1a, 64 bit: a guard against mistakes, not against forgery.
  uint64_t digest = 14695981039346656037ULL;
  const auto add = [&digest](const std::string& text) {
    for (const char letter : text) {
      digest = (digest ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
    }
  };
  std::unordered_map<const torch::jit::Value*, size_t> numbers;
  const auto number = [&numbers](const torch::jit::Value* value) {
    return numbers.try_emplace(value, numbers.size()).first->second;
  };
  for (const auto* input : graph.inputs()) number(input);
  for (const Node* node : nodes_in_order(graph)) {
    add(node->kind().toQualString());
    for (const auto* input : node->inputs()) add(fmt::format(",{}", number(input)));
    for (const auto* output : node->outputs()) add(fmt::format(";{}", number(output)));
    if (node->hasAttribute(attr::name)) add(node->s(attr::name));
  }
  for (const auto* output : graph.outputs()) add(fmt::format(">{}", number(output)));
  return fmt::format("{:016x}", digest);
}

std::vector<GraphSite> find_graph_sites(const torch::jit::Module& top) {
  return SiteWalker(top).walk();
}

}  // namespace invact
