#include "rewriter/graph/inlined_model.h"

#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/lower_tuples.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "analyzer/model/module_paths.h"
#include "analyzer/model/source_lines.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

/// The index of a node's origin. An attribute, because passes move nodes and make new ones where
/// destroyed ones lay.
const c10::Symbol kOriginAttribute = c10::Symbol::attr("invact_origin");

}  // namespace

/// Replaces calls and forks in the copy, depth first, so that every node is met once.
class Inliner {
 public:
  Inliner(InlinedModel& model, const torch::jit::Module& top) : model_(model), top_(top) {}

  void run() {
    const auto method = top_.get_method("forward");
    model_.graph_ = method.graph()->copy();
    Scope scope;
    scope.instance = top_._ivalue().get();
    scope.method = "forward";
    scope.fingerprint = fingerprint(*method.graph());
    begin_call(scope, CodeCall::Kind::kMethod, -1, 0, *method.graph());
    expand(entries(nodes_in_order(*model_.graph_), nodes_in_order(*method.graph()), 0), scope);
    for (Node* node : replaced_) node->destroy();
  }

 private:
  /// The origin of the nodes that are being expanded, but for what differs from node to node.
  using Scope = NodeOrigin;

  /// A node of the copy and the node of the model's own code that it was copied from.
  struct Entry {
    Node* copy;
    Node* original;
    int64_t index;  ///< Of `original`, in its graph's nodes_in_order().
  };

  static std::vector<Entry> entries(const std::vector<Node*>& copies,
                                    const std::vector<Node*>& originals, int64_t first_index) {
    TORCH_INTERNAL_ASSERT(copies.size() == originals.size());
    std::vector<Entry> result;
    for (size_t i = 0; i < copies.size(); ++i) {
      result.push_back({copies[i], originals[i], first_index + static_cast<int64_t>(i)});
    }
    return result;
  }

  void expand(const std::vector<Entry>& code, const Scope& scope) {
    for (size_t i = 0; i < code.size(); ++i) {
      const Entry& entry = code[i];
      note_origin(entry, scope);
      if (entry.copy->kind() == prim::CallMethod) {
        expand_method(entry, scope);
      } else if (entry.copy->kind() == prim::CallFunction) {
        expand_function(entry, scope);
      } else if (entry.copy->kind() == prim::fork) {
        expand_fork(entry, scope);
        // The task's own nodes follow in `code`; their inlined copies have been expanded.
        i += nodes_in_order(*entry.original->g(attr::Subgraph)).size();
      }
    }
  }

  /// The innermost open branch in the code that `entry` is of, not looking at those around its
  /// call; null where there is none.
  static const Block* open_block(const Entry& entry) {
    const Block* copy = entry.copy->owningBlock();
    for (const Block* block = entry.original->owningBlock(); block->owningNode();
         block = block->owningNode()->owningBlock()) {
      const Node* const around = copy->owningNode();
      if (!around) return nullptr;  // The body of a task, whose copies stand where the fork did.
      const bool is_decided =
          around->kind() == prim::If && around->input()->node()->kind() == prim::Constant;
      if (!is_decided) return block;
      copy = around->owningBlock();
    }
    return nullptr;
  }

  int64_t open_branch(const Entry& entry, const Scope& scope) {
    const Block* const block = open_block(entry);
    if (!block) return scope.open_branch;
    const auto number = static_cast<int64_t>(branches_.size());
    return branches_.try_emplace({scope.call, block}, number).first->second;
  }

  void note_origin(const Entry& entry, const Scope& scope) {
    // A constant of Optional type that has no attribute at all is None to LibTorch.
    if (!scope.instance || entry.copy->kind() == prim::Constant) return;
    NodeOrigin origin = scope;
    origin.node_index = entry.index;
    origin.frames.insert(origin.frames.begin(), code_range(entry.original->sourceRange()));
    origin.open_branch = open_branch(entry, scope);
    entry.copy->i_(kOriginAttribute, static_cast<int64_t>(model_.origins_.size()));
    model_.origins_.push_back(std::move(origin));
  }

  /// Numbers an execution of `code`, whose nodes' origins `scope` describes.
  void begin_call(Scope& scope, CodeCall::Kind kind, int64_t caller, int64_t node_index,
                  Graph& code) {
    scope.call = static_cast<int64_t>(model_.calls_.size());
    model_.calls_.push_back({kind, caller, node_index, scope, fingerprint(code)});
  }

  void expand_method(const Entry& call, const Scope& caller) {
    const std::string& name = call.copy->s(attr::name);
    // In the copy every segment of attributes starts at the model itself.
    const auto path = submodule_path(call.copy->input(0));
    const auto instance = path ? find_submodule(top_, *path) : std::nullopt;
    Scope scope;
    std::shared_ptr<Graph> graph;
    if (const auto method = instance ? instance->find_method(name) : std::nullopt) {
      graph = method->graph();
      scope.instance = instance->_ivalue().get();
      scope.module_path = *path;
      scope.method = name;
      scope.fingerprint = fingerprint(*graph);
    } else if (auto* const function = torch::jit::tryToGraphFunction(call.copy)) {
      graph = function->graph();
    } else {
      return;  // An interface that only the run resolves: alias analysis assumes the worst of it.
    }
    scope.open_branch = open_branch(call, caller);
    begin_call(scope, CodeCall::Kind::kMethod, caller.call, call.index, *graph);
    expand_call(call, *graph, call.copy->inputs().vec(), scope);
  }

  void expand_function(const Entry& call, const Scope& caller) {
    const auto graph = called_function_graph(*call.copy);
    if (!graph) return;
    Scope scope = caller;
    scope.function_calls.push_back(call.index);
    scope.function = call.copy->input(0)->type()->expect<c10::FunctionType>()->function()->name();
    scope.frames.insert(scope.frames.begin(), code_range(call.original->sourceRange()));
    if (scope.instance) scope.fingerprint += fingerprint(*graph);
    scope.open_branch = open_branch(call, caller);
    begin_call(scope, CodeCall::Kind::kFunction, caller.call, call.index, *graph);
    expand_call(call, *graph, call.copy->inputs().slice(1).vec(), scope);
  }

  void expand_call(const Entry& call, Graph& callee, const std::vector<Value*>& inputs,
                   const Scope& scope) {
    const auto [outputs, copies] = insert_code_before(call.copy, callee, inputs);
    call.copy->output()->replaceAllUsesWith(outputs.at(0));
    call.copy->destroy();
    expand(entries(copies, nodes_in_order(callee), 0), scope);
  }

  /// The task's code takes the fork's place. Where the future is only waited for, so do its values;
  /// elsewhere the fork stays and takes them as inputs, so that alias analysis lets whoever waits
  /// write to them.
  void expand_fork(const Entry& fork, const Scope& caller) {
    Scope scope = caller;
    scope.frames.insert(scope.frames.begin(), code_range(fork.original->sourceRange()));
    scope.open_branch = open_branch(fork, caller);
    const auto task = fork.original->g(attr::Subgraph);
    const auto [outputs, copies] = insert_code_before(fork.copy, *task, fork.copy->inputs().vec());
    const auto uses = fork.copy->output()->uses();
    const bool only_waited_for =
        outputs.size() == 1 &&
        std::all_of(uses.begin(), uses.end(), [](const torch::jit::Use& use) {
          return use.user->kind() == torch::jit::aten::wait;
        });
    if (only_waited_for) {
      for (const auto& use : uses) {
        use.user->output()->replaceAllUsesWith(outputs[0]);
        replaced_.push_back(use.user);
      }
      replaced_.push_back(fork.copy);
    } else {
      for (Value* output : outputs) fork.copy->addInput(output);
    }
    begin_call(scope, CodeCall::Kind::kTask, caller.call, fork.index, *task);
    expand(entries(copies, nodes_in_order(*task), fork.index + 1), scope);
  }

  const std::string& fingerprint(Graph& graph) {
    auto [found, fresh] = fingerprints_.try_emplace(&graph);
    if (fresh) found->second = graph_fingerprint(graph);
    return found->second;
  }

  InlinedModel& model_;
  torch::jit::Module top_;
  std::unordered_map<const Graph*, std::string> fingerprints_;
  /// The numbers of open branches, by the call whose code they stand in.
  std::map<std::pair<int64_t, const Block*>, int64_t> branches_;
  std::vector<Node*> replaced_;  ///< Forks and waits without a user, each after its users.
};

namespace {

/// The value of a flag of a module, which its code only reads. `training` is there to be changed.
std::optional<bool> fixed_flag(const Value* value, const torch::jit::Module& top,
                               const std::set<std::string>& written) {
  const Node* const node = value->node();
  if (node->kind() != prim::GetAttr || value->type()->kind() != c10::TypeKind::BoolType) {
    return std::nullopt;
  }
  const std::string& name = node->s(attr::name);
  const auto path = submodule_path(node->input());
  const auto module = path ? find_submodule(top, *path) : std::nullopt;
  if (!module || name == "training" || written.contains(name)) return std::nullopt;
  return module->attr(name).toBool();
}

/// Lets conditions on such flags be constants.
void decide_flags(Graph& graph, const torch::jit::Module& top) {
  const std::vector<Node*> nodes = nodes_in_order(graph);
  std::set<std::string> written;
  for (const Node* const node : nodes) {
    if (node->kind() == prim::SetAttr) written.insert(node->s(attr::name));
  }
  for (Node* const node : nodes) {
    if (node->kind() != prim::If) continue;
    const auto flag = fixed_flag(node->input(), top, written);
    if (!flag) continue;
    const torch::jit::WithInsertPoint guard(node);
    node->replaceInput(0, graph.insertConstant(*flag));
  }
}

/// Whether the code must run a condition to know whether `user` runs once `maker` has.
bool is_in_open_branch_behind(const Node* user, const Node* maker) {
  for (const Block* block = user->owningBlock(); !within(block, maker);
       block = block->owningNode()->owningBlock()) {
    const Node* const around = block->owningNode();
    if (around->kind() == prim::If && around->input()->node()->kind() != prim::Constant)
      return true;
  }
  return false;
}

/// The same of anybody who reads `value`, which `maker` made, or what a branch hands it on as.
bool is_read_in_open_branch_behind(const Value* value, const Node* maker) {
  return std::ranges::any_of(value->uses(), [maker](const torch::jit::Use& use) {
    if (is_in_open_branch_behind(use.user, maker)) return true;
    const Node* const around = use.user->owningBlock()->owningNode();
    const bool is_handed_on =
        use.user->kind() == prim::Return && around && around->kind() == prim::If;
    return is_handed_on && is_read_in_open_branch_behind(around->output(use.offset), maker);
  });
}

/// Whether a write is dead takes an alias analysis, which a graph without writes is spared.
void remove_dead_code(const std::shared_ptr<Graph>& graph) {
  if (std::ranges::any_of(nodes_in_order(*graph), &may_write)) {
    torch::jit::EliminateDeadCode(graph);
  } else {
    torch::jit::EliminateDeadCode(graph->block());
  }
}

}  // namespace

void InlinedModel::note_consumers_in_branches() {
  for (const Node* const node : nodes_in_order(*graph_)) {
    if (!node->hasAttribute(kOriginAttribute)) continue;
    NodeOrigin& origin = origins_[static_cast<size_t>(node->i(kOriginAttribute))];
    for (const Value* const output : node->outputs()) {
      origin.read_in_open_branch |= is_read_in_open_branch_behind(output, node);
    }
  }
}

InlinedModel::InlinedModel(const torch::jit::Module& model) : model_(model) {
  Inliner(*this, model).run();
  note_consumers_in_branches();
  decide_flags(*graph_, model);
  // F.dropout(x, p, training, inplace) and its kin hold both branches; a constant `inplace` leaves
  // one. Whether an Optional tensor is None takes an alias analysis, which straight code is spared.
  torch::jit::ConstantPropagationImmutableTypes(graph_);
  nodes_ = nodes_in_order(*graph_);
  const bool has_branches =
      std::ranges::any_of(nodes_, [](const Node* node) { return node->kind() == prim::If; });
  if (has_branches) torch::jit::ConstantPropagation(graph_);
  // What a method returns beside other things is read as if it came alone.
  torch::jit::LowerSimpleTuples(graph_->block());
  remove_dead_code(graph_);
  nodes_ = nodes_in_order(*graph_);
}

const NodeOrigin* InlinedModel::origin(const Node& node) const {
  if (!node.hasAttribute(kOriginAttribute)) return nullptr;
  return &origins_[static_cast<size_t>(node.i(kOriginAttribute))];
}

std::optional<int64_t> InlinedModel::common_method_call(const std::vector<Node*>& nodes) const {
  // Callers are numbered before those they call.
  int64_t common = origin(*nodes.front())->call;
  for (const Node* const node : nodes) {
    int64_t other = origin(*node)->call;
    while (other != common) {
      int64_t& inner = other > common ? other : common;
      if (call(inner).kind == CodeCall::Kind::kTask) return std::nullopt;
      inner = call(inner).caller;
    }
  }
  while (call(common).kind == CodeCall::Kind::kFunction) common = call(common).caller;
  if (call(common).kind == CodeCall::Kind::kTask) return std::nullopt;
  return call(common).code.instance ? std::optional(common) : std::nullopt;
}

NodePath InlinedModel::path_from(int64_t from, const Node& node) const {
  const NodeOrigin& place = *origin(node);
  NodePath path = {place.node_index};
  for (int64_t inner = place.call; inner != from; inner = call(inner).caller) {
    path.insert(path.begin(), call(inner).node_index);
  }
  return path;
}

bool InlinedModel::same_code(const Node& a, const Node& b) const {
  const NodeOrigin* const of_a = origin(a);
  const NodeOrigin* const of_b = origin(b);
  return of_a && of_b && a.owningBlock() == b.owningBlock() && of_a->call == of_b->call;
}

}  // namespace invact
