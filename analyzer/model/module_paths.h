// Dotted paths of submodules ("features.1.block"), and how the code of a module names them: by
// prim::GetAttr nodes, one after another, that begin at the method's `self`.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace invact {

/// The attribute path from a method's `self` to `value` ("block.0"); none where `value` is no
/// submodule of it. `forks`: the prim::fork nodes whose tasks `value` lies in, outermost first.
std::optional<std::string> submodule_path(const torch::jit::Value* value,
                                          std::vector<const torch::jit::Node*> forks = {});

/// The graph of the free function or method that a prim::CallFunction node calls; null where it is
/// no TorchScript.
std::shared_ptr<torch::jit::Graph> called_function_graph(const torch::jit::Node& call);

/// The submodule at a dotted path; none where there is no such module.
std::optional<torch::jit::Module> find_submodule(const torch::jit::Module& top,
                                                 const std::string& path);

/// "a" and "b.c" give "a.b.c"; either may be empty.
std::string join_module_path(const std::string& parent, const std::string& child);

}  // namespace invact
