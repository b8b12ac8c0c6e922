#include "analyzer/observation/call_sites.h"

#include <torch/csrc/jit/runtime/interpreter.h>

#include "analyzer/model/model.h"
#include "analyzer/model/module_paths.h"
#include "analyzer/model/source_lines.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;

template <typename Visit>
void visit_calls(torch::jit::Block* block, Visit visit) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == prim::CallMethod || node->kind() == prim::CallFunction ||
        node->kind() == prim::fork) {
      visit(node);
    }
    for (torch::jit::Block* inner : const_cast<torch::jit::Node*>(node)->blocks()) {
      visit_calls(inner, visit);
    }
  }
}

/// Entries of the interpreters that wait for a forked task to end, innermost first.
thread_local std::vector<torch::jit::StackEntry> forking;

class ForkingScope {
 public:
  ForkingScope() : outer_(forking) { forking = callstack_through_forks(); }
  ~ForkingScope() { forking = std::move(outer_); }
  ForkingScope(const ForkingScope&) = delete;
  ForkingScope& operator=(const ForkingScope&) = delete;

 private:
  std::vector<torch::jit::StackEntry> outer_;
};

}  // namespace

torch::jit::TaskLauncher run_forks_at_once() {
  return [](const std::function<void()>& task) {
    const ForkingScope scope;
    task();
  };
}

std::vector<torch::jit::StackEntry> callstack_through_forks() {
  auto callstack = torch::jit::currentCallstack();
  callstack.insert(callstack.end(), forking.begin(), forking.end());
  return callstack;
}

size_t CallSiteResolver::KeyHash::operator()(const Key& key) const {
  return std::hash<const void*>()(key.source.get()) ^ (key.begin * 0x9E3779B97F4A7C15ULL + key.end);
}

CallSiteResolver::Key CallSiteResolver::key_of(const torch::jit::SourceRange& range) {
  return {range.source(), range.start(), range.end()};
}

CallSiteResolver::CallSiteResolver(torch::jit::Module top) {
  top_.graph = top.get_method("forward").graph();
  top_.method = "forward";
  top_.module_type = class_name(top);
  top_.module = std::move(top);
}

const torch::jit::Node* CallSiteResolver::find_call(const torch::jit::Graph& graph,
                                                    const Key& key) {
  auto [found, fresh] = call_nodes_.try_emplace(&graph);
  CallNodes& calls = found->second;
  if (fresh) {
    visit_calls(const_cast<torch::jit::Graph&>(graph).block(), [&](const torch::jit::Node* node) {
      calls.emplace(key_of(node->sourceRange()), node);
    });
  }
  const auto node = calls.find(key);
  return node == calls.end() ? nullptr : node->second;
}

/// Moves `code` from the caller's to the called one; false where that is no code of the model.
bool CallSiteResolver::follow(const torch::jit::Node* call, Code& code) const {
  if (call->kind() == prim::fork) {
    code.graph = call->g(attr::Subgraph);
    code.forks.push_back(call);
    return true;
  }
  if (call->kind() == prim::CallFunction) {
    code.graph = called_function_graph(*call);
    return code.graph != nullptr;
  }
  const auto path = submodule_path(call->input(0), code.forks);
  const auto child = path ? find_submodule(code.module, *path) : std::nullopt;
  const std::string& name = call->s(attr::name);
  const auto method = child ? child->find_method(name) : std::nullopt;
  if (!method) return false;
  code.module = *child;
  code.forks.clear();
  code.graph = method->graph();
  code.module_path = join_module_path(code.module_path, *path);
  code.method = name;
  code.module_type = class_name(code.module);
  return true;
}

CallSiteResolver::Code& CallSiteResolver::called_from(Code& caller,
                                                      const torch::jit::SourceRange& range) {
  const auto [found, fresh] = caller.called.try_emplace(key_of(range));
  if (!fresh) return *found->second;
  found->second = std::make_unique<Code>();
  Code& code = *found->second;
  code.module = caller.module;
  code.forks = caller.forks;
  code.module_path = caller.module_path;
  code.module_type = caller.module_type;
  code.method = caller.method;
  const torch::jit::Node* const call =
      caller.graph ? find_call(*caller.graph, found->first) : nullptr;
  if (!call || !follow(call, code)) {
    code.graph = nullptr;
    return code;
  }
  code.frames.push_back(code_range(range));
  code.frames.insert(code.frames.end(), caller.frames.begin(), caller.frames.end());
  return code;
}

void CallSiteResolver::resolve(const std::vector<torch::jit::StackEntry>& callstack,
                               OperatorCall& call) {
  if (callstack.empty()) return;
  Code* code = &top_;
  for (size_t i = callstack.size(); i-- > 1;) code = &called_from(*code, callstack[i].range);
  const auto [source, fresh] = code->sources.try_emplace(key_of(callstack[0].range));
  if (fresh) source->second = user_source(callstack);
  call.module_path = code->module_path;
  call.module_type = code->module_type;
  call.method = code->method;
  call.attributed = true;
  call.source = source->second;
  if (!code->graph) return;
  call.frames.reserve(code->frames.size() + 1);
  call.frames.push_back(code_range(callstack[0].range));
  call.frames.insert(call.frames.end(), code->frames.begin(), code->frames.end());
}

}  // namespace invact
