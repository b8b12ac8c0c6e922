#include "rewriter/editing/original_code.h"

#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>
#include <vector>

namespace invact {
namespace {

using torch::jit::Function;
using torch::jit::Graph;

constexpr const char* kPrefix = "invact_original_";

bool is_stored_name(const std::string& method) {
  return method.starts_with(kPrefix);
}

std::shared_ptr<Graph> graph_of(Function& function) {
  return torch::jit::toGraphFunction(function).graph();
}

/// Gives `graph` the code of `source`, which has as many inputs and outputs.
void replace_code(Graph& graph, Graph& source) {
  for (size_t count = graph.outputs().size(); count-- > 0;) graph.eraseOutput(count);
  std::vector<torch::jit::Node*> nodes(graph.nodes().begin(), graph.nodes().end());
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) (*node)->destroy();
  for (torch::jit::Value* const output :
       torch::jit::insertGraph(graph, source, graph.inputs().vec())) {
    graph.registerOutput(output);
  }
}

}  // namespace

void keep_original_code(const torch::jit::Module& module, const std::string& method) {
  const auto type = module.type();
  const std::string name = kPrefix + method;
  if (type->findMethod(name)) return;
  Function& original = type->getMethod(method);
  Function* const stored = module._ivalue()->compilation_unit()->create_function(
      c10::QualifiedName(*type->name(), name), graph_of(original)->copy());
  const c10::FunctionSchema& schema = original.getSchema();
  stored->setSchema(schema.cloneWithName(name, schema.overload_name()));
  type->addMethod(stored);
}

int64_t restore_original_code(const torch::jit::Module& module) {
  const auto type = module.type();
  std::vector<std::string> names;
  for (const Function* const method : type->methods()) {
    if (is_stored_name(method->name())) names.push_back(method->name());
  }
  for (const std::string& name : names) {
    const std::string original = name.substr(std::string(kPrefix).size());
    replace_code(*graph_of(type->getMethod(original)), *graph_of(type->getMethod(name)));
    type->unsafeRemoveMethod(name);
  }
  return static_cast<int64_t>(names.size());
}

bool has_original_code(const torch::jit::Module& top) {
  for (const torch::jit::Module& module : top.modules()) {
    const auto& methods = module.type()->methods();
    const auto is_stored = [](const Function* method) { return is_stored_name(method->name()); };
    if (std::any_of(methods.begin(), methods.end(), is_stored)) return true;
  }
  return false;
}

}  // namespace invact
