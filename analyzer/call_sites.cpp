#include "analyzer/call_sites.h"

#include <torch/csrc/jit/api/function_impl.h>

#include "analyzer/model.h"
#include "analyzer/source_lines.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;

template <typename Map>
void collect_calls(torch::jit::Block* block, Map& calls) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == prim::CallMethod || node->kind() == prim::CallFunction ||
        node->kind() == prim::fork) {
      calls.emplace(code_range(node->sourceRange()), node);
    }
    for (torch::jit::Block* inner : const_cast<torch::jit::Node*>(node)->blocks()) {
      collect_calls(inner, calls);
    }
  }
}

}  // namespace

std::string join_module_path(const std::string& parent, const std::string& child) {
  if (parent.empty() || child.empty()) return parent + child;
  return parent + "." + child;
}

std::optional<std::string> submodule_path(const torch::jit::Value* value,
                                          std::vector<const torch::jit::Node*> forks) {
  std::string path;
  while (true) {
    const torch::jit::Node* const node = value->node();
    if (node->kind() == prim::GetAttr) {
      path = join_module_path(node->s(attr::name), path);
      value = node->input();
    } else if (node->kind() != prim::Param) {
      return std::nullopt;
    } else if (!forks.empty() && node->owningGraph() == forks.back()->g(attr::Subgraph).get()) {
      value = forks.back()->input(value->offset());
      forks.pop_back();
    } else {
      const bool is_self = value == node->owningGraph()->inputs()[0];
      return is_self ? std::optional(path) : std::nullopt;
    }
  }
}

std::shared_ptr<torch::jit::Graph> called_function_graph(const torch::jit::Node& call) {
  const auto type = call.input(0)->type()->cast<c10::FunctionType>();
  if (!type) return nullptr;
  auto* const function = torch::jit::tryToGraphFunction(*type->function());
  return function ? function->graph() : nullptr;
}

std::optional<torch::jit::Module> find_submodule(const torch::jit::Module& top,
                                                 const std::string& path) {
  torch::jit::Module module = top;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    if (!module.hasattr(name) || !module.attr(name).isModule()) return std::nullopt;
    module = module.attr(name).toModule();
    begin = end + 1;
  }
  return module;
}

const torch::jit::Node* CallSiteResolver::find_call(const torch::jit::Graph& graph,
                                                    const CodeRange& range) {
  auto [found, fresh] = call_nodes_.try_emplace(&graph);
  if (fresh) collect_calls(const_cast<torch::jit::Graph&>(graph).block(), found->second);
  const auto node = found->second.find(range);
  return node == found->second.end() ? nullptr : node->second;
}

/// Walks from the top module's forward to the innermost frame; false where a frame has no call
/// node.
bool CallSiteResolver::follow(const std::vector<CodeRange>& frames, OperatorCall& call) {
  torch::jit::Module module = top_;
  std::shared_ptr<torch::jit::Graph> graph = module.get_method("forward").graph();
  std::vector<const torch::jit::Node*> forks;  // Between the method's own graph and `graph`.
  call.method = "forward";
  call.module_type = class_name(module);
  for (size_t i = frames.size(); i-- > 1;) {
    const torch::jit::Node* const node = find_call(*graph, frames[i]);
    if (!node) return false;
    if (node->kind() == prim::fork) {
      graph = node->g(attr::Subgraph);
      forks.push_back(node);
      continue;
    }
    if (node->kind() == prim::CallFunction) {
      graph = called_function_graph(*node);
      if (!graph) return false;
      continue;
    }
    const auto path = submodule_path(node->input(0), forks);
    if (!path) return false;
    const auto child = find_submodule(module, *path);
    const std::string& method = node->s(attr::name);
    if (!child || !child->find_method(method)) return false;
    module = *child;
    forks.clear();
    graph = module.get_method(method).graph();
    call.module_path = join_module_path(call.module_path, *path);
    call.method = method;
    call.module_type = class_name(module);
  }
  return true;
}

void CallSiteResolver::resolve(const std::vector<torch::jit::StackEntry>& callstack,
                               OperatorCall& call) {
  if (callstack.empty()) return;
  std::vector<CodeRange> frames;
  for (const auto& entry : callstack) frames.push_back(code_range(entry.range));
  auto [found, fresh] = resolved_.try_emplace(frames);
  OperatorCall& site = found->second;
  if (fresh) {
    site.attributed = true;
    site.source = user_source(callstack);
    if (follow(frames, site)) site.frames = std::move(frames);
  }
  call.module_path = site.module_path;
  call.module_type = site.module_type;
  call.method = site.method;
  call.frames = site.frames;
  call.attributed = site.attributed;
  call.source = site.source;
}

}  // namespace invact
