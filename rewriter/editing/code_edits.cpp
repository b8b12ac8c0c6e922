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

/// The code at a place in `method`: the method's own, or that of the last function called.
/// @throws Error(kInternal) where it is not what it was when the plan was made.
std::shared_ptr<Graph> checked_code(const torch::jit::Method& method, const CodePlace& place,
                                    const Site& site) {
  std::shared_ptr<Graph> graph = method.graph();
  std::string fingerprint = graph_fingerprint(*graph);
  for (const int64_t index : place.function_calls) {
    graph = called_graph(*node_at(*graph, index, site), site);
    fingerprint += graph_fingerprint(*graph);
  }
  check_fingerprint(fingerprint, place.graph_fingerprint, site);
  return graph;
}

/// Checks the code of a segment, whose nodes may stand in code that the method calls.
void check_segment(const Module& owner, const Recompute& edit, const Site& site) {
  const CalledCode home = {owner.get_method(site.place.method).graph(), owner};
  std::string fingerprint = graph_fingerprint(*home.graph);
  std::set<NodePath> seen;
  for (const NodePath& path : edit.nodes) {
    std::vector<std::string> on_the_way;  // Outermost first; the innermost counts first.
    CalledCode code = home;
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      code = called_code(code.owner, *node_at(*code.graph, path[i], site));
      if (!code.graph) check_fingerprint("", site.place.graph_fingerprint, site);
      const NodePath prefix(path.begin(), path.begin() + static_cast<int64_t>(i) + 1);
      if (seen.insert(prefix).second) on_the_way.push_back(graph_fingerprint(*code.graph));
    }
    for (auto text = on_the_way.rbegin(); text != on_the_way.rend(); ++text) fingerprint += *text;
    node_at(*code.graph, path.back(), site);
  }
  check_fingerprint(fingerprint, site.place.graph_fingerprint, site);
}

Module module_with_method(const Module& top, const CodePlace& place, const Site& site) {
  const auto module = find_submodule(top, place.module_path);
  if (!module || !module->find_method(place.method)) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return *module;
}

/// Collects the edits of every module, site by site.
class EditCollector {
 public:
  explicit EditCollector(const Module& top) : top_(top) {}

  void add(const Site& site) {
    struct Adder {
      EditCollector& collector;
      const Site& site;
      void operator()(std::monostate) const {
        throw_internal_error(fmt::format("The plan's site {} has no edit.", site.id));
      }
      void operator()(const RenameOperator& edit) const {
        const Node* const node = collector.checked_node(site.place, site);
        if (node->kind().toQualString() != site.op) {
          throw_internal_error(fmt::format("The plan's site {} is a {}, not {}.", site.id,
                                           node->kind().toQualString(), site.op));
        }
        collector.code_at(site.place, site).operators[site.place.node_index] = edit;
      }
      void operator()(const ReplacePattern& edit) const {
        collector.checked_node(site.place, site);
        collector.code_at(site.place, site).operators[site.place.node_index] = edit;
      }
      void operator()(const Recompute& edit) const { collector.add_segment(site, edit); }
    };
    std::visit(Adder{*this, site}, site.edit);
  }

  std::unordered_map<const c10::ivalue::Object*, ModuleEdits> edits() && {
    return std::move(edits_);
  }

 private:
  void add_segment(const Site& site, const Recompute& edit) {
    check_segment(module_with_method(top_, site.place, site), edit, site);
    code_at(site.place, site).segments.push_back(edit.nodes);
    for (const Consumer& consumer : edit.consumers) {
      checked_node(consumer.place, site);
      auto& consumers = code_at(consumer.place, site).consumers;
      // A segment that runs several times names its consumers once per module instance.
      if (std::ranges::count(consumers, consumer) == 0) consumers.push_back(consumer);
    }
  }

  const Node* checked_node(const CodePlace& place, const Site& site) const {
    const Module owner = module_with_method(top_, place, site);
    const auto graph = checked_code(owner.get_method(place.method), place, site);
    return node_at(*graph, place.node_index, site);
  }

  CodeEdits& code_at(const CodePlace& place, const Site& site) {
    const Module owner = module_with_method(top_, place, site);
    CodeEdits* code = &edits_[owner._ivalue().get()][place.method];
    for (const int64_t call : place.function_calls) code = &code->calls[call];
    return *code;
  }

  const Module& top_;
  std::unordered_map<const c10::ivalue::Object*, ModuleEdits> edits_;
};

std::string signature_of(const RenameOperator& edit) {
  return edit.replacement;
}

/// The code itself determines a pattern's nodes and most of its arguments, but not the shape of its
/// weights.
std::string signature_of(const ReplacePattern& edit) {
  std::string text = edit.replacement;
  for (const PatternArgument& argument : edit.arguments) {
    if (const auto* const shape = std::get_if<std::vector<int64_t>>(&argument.constant)) {
      text += fmt::format("[{}]", fmt::join(*shape, ","));
    }
  }
  return text;
}

}  // namespace

std::string CodeEdits::signature() const {
  std::string text;
  for (const auto& [index, edit] : operators) {
    const auto name = std::visit([](const auto& change) { return signature_of(change); }, edit);
    text += fmt::format("{}={},", index, name);
  }
  for (const auto& [index, edits] : calls) {
    text += fmt::format("{}({}),", index, edits.signature());
  }
  for (const auto& nodes : segments) {
    text += "segment";
    for (const NodePath& path : nodes) text += fmt::format(" {}", fmt::join(path, "."));
    text += ",";
  }
  for (const Consumer& consumer : consumers) {
    text += fmt::format("release {} {} {} {} {},", consumer.place.node_index, consumer.tensor_node,
                        consumer.tensor_position, static_cast<int>(consumer.use), consumer.is_last);
  }
  return text;
}

bool CodeEdits::loses_code() const {
  const auto is_pattern = [](const auto& entry) {
    return std::holds_alternative<ReplacePattern>(entry.second);
  };
  const auto is_copied = [](const Consumer& consumer) {
    return consumer.use == Consumer::Use::kCopies;
  };
  return !segments.empty() || std::ranges::any_of(consumers, is_copied) ||
         std::ranges::any_of(operators, is_pattern) ||
         std::ranges::any_of(calls, [](const auto& entry) { return entry.second.loses_code(); });
}

std::string signature(const ModuleEdits& edits) {
  std::string text;
  for (const auto& [method, code] : edits) text += method + ":" + code.signature() + ";";
  return text;
}

CalledCode called_code(const Module& owner, const Node& call) {
  if (call.kind() == prim::CallFunction) return {called_function_graph(call), owner};
  if (call.kind() != prim::CallMethod) return {nullptr, owner};
  const auto path = submodule_path(call.input(0));
  const auto module = path ? find_submodule(owner, *path) : std::nullopt;
  const auto method = module ? module->find_method(call.s(torch::jit::attr::name)) : std::nullopt;
  if (!method) return {nullptr, owner};
  return {method->graph(), *module};
}

std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(const Module& top,
                                                                          const Plan& plan) {
  EditCollector collector(top);
  for (const Site& site : plan.sites) {
    if (site.decision.accepted) collector.add(site);
  }
  return std::move(collector).edits();
}

}  // namespace invact
