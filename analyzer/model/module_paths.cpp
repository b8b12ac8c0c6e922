#include "analyzer/model/module_paths.h"

#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>

namespace invact {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;

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
    const auto slot = module.type()->findAttributeSlot(name);
    if (!slot) return std::nullopt;
    const c10::IValue child = module._ivalue()->getSlot(*slot);
    if (!child.isModule()) return std::nullopt;
    module = child.toModule();
    begin = end + 1;
  }
  return module;
}

}  // namespace invact
