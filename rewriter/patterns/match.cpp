#include "rewriter/patterns/match.h"

#include <torch/csrc/jit/ir/constants.h>

#include "analyzer/model/module_paths.h"

namespace invact {

std::string unqualified(const std::string& op) {
  const auto colons = op.rfind("::");
  return colons == std::string::npos ? op : op.substr(colons + 2);
}

std::optional<at::Tensor> known_tensor(torch::jit::Value* value, const torch::jit::Module& top) {
  if (const auto constant = torch::jit::toIValue(value)) {
    if (constant->isNone()) return at::Tensor();
    if (constant->isTensor()) return constant->toTensor();
    return std::nullopt;
  }
  torch::jit::Node* const node = value->node();
  if (node->kind() != torch::jit::prim::GetAttr) return std::nullopt;
  const auto path = submodule_path(node->input());
  const auto module = path ? find_submodule(top, *path) : std::nullopt;
  const std::string& name = node->s(torch::jit::attr::name);
  if (!module || !module->hasattr(name)) return std::nullopt;
  const c10::IValue attribute = module->attr(name);
  if (attribute.isNone()) return at::Tensor();
  return attribute.isTensor() ? std::optional(attribute.toTensor()) : std::nullopt;
}

}  // namespace invact
