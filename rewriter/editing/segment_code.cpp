#include "rewriter/editing/segment_code.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/graph/operator_roles.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

constexpr const char* kPrefix = "invact_chain_";
constexpr const char* kAgain = "_again";

enum class Run { kForward, kAgain };

/// What the segment reads and does not make itself.
class Inputs {
 public:
  explicit Inputs(const std::vector<Node*>& nodes) : members_(nodes.begin(), nodes.end()) {
    // In backward the last consumer's gradient comes first; see `needs_one_per_use`.
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      for (size_t i = 0; i < (*node)->inputs().size(); ++i) add(*node, i);
    }
  }

  const std::vector<torch::jit::Use>& tensors() const { return tensors_; }
  const std::vector<Value*>& others() const { return others_; }

  static Value* value(const torch::jit::Use& use) { return use.user->input(use.offset); }

  /// Whether each consumer in the segment hands its gradient back by itself, because an operator
  /// outside reads the tensor too: autograd adds them up one by one, and floating sums are not
  /// associative.
  bool needs_one_per_use(const Value* value) const {
    const Node* view = nullptr;
    for (const Value* source = value;; source = view->input(0)) {
      const bool is_read_outside = std::ranges::any_of(source->uses(), [&](const auto& use) {
        return !members_.contains(use.user) && use.user != view;
      });
      // Other consumers of a method's argument stand in the code that calls it.
      if (is_read_outside || source->node()->kind() == prim::Param) return true;
      if (operator_role(source->node()) != OperatorRole::kView) return false;
      view = source->node();
    }
  }

 private:
  void add(Node* node, size_t position) {
    Value* const value = node->input(position);
    if (members_.contains(value->node()) || value->node()->kind() == prim::Constant) return;
    const bool is_saved = is_tensor(value) && !is_statistic(node, position);
    if (!is_saved) {
      if (std::ranges::count(others_, value) == 0) others_.push_back(value);
      return;
    }
    const bool is_known = !known_.insert(value).second;
    if (is_known && !needs_one_per_use(value)) return;
    tensors_.emplace_back(node, position);
  }

  std::unordered_set<const Node*> members_;
  std::unordered_set<const Value*> known_;
  std::vector<torch::jit::Use> tensors_;
  std::vector<Value*> others_;
};

/// Copies a segment's nodes into a graph of its own.
class SegmentGraph {
 public:
  SegmentGraph(const c10::ClassTypePtr& type, const Inputs& inputs, Run run) : run_(run) {
    graph_->addInput("self")->setType(type);
    for (const torch::jit::Use& use : inputs.tensors()) {
      Value* const input = add_input(c10::TensorType::get(), "input");
      values_[Inputs::value(use)] = input;
      if (inputs.needs_one_per_use(Inputs::value(use))) of_use_[{use.user, use.offset}] = input;
    }
    for (const Value* const value : inputs.others()) {
      values_[value] = add_input(
          is_tensor(value) ? c10::TypePtr(c10::TensorType::get()) : value->type(), "argument");
    }
  }

  /// @returns whether the two runs differ.
  bool add(const std::vector<Node*>& nodes) {
    bool differs = false;
    for (Node* const node : nodes) {
      const bool is_batch_norm = node->kind() == aten::batch_norm;
      if (draws_dropout(node)) {
        add_dropout(node);
      } else if (is_batch_norm) {
        add_batch_norm(node);
      } else {
        const bool spares = can_spare_writing(node);
        if (spares && run_ == Run::kAgain) {
          add_without_writing(node);
        } else {
          add_copy(node);
        }
        differs |= spares;
      }
      differs |= is_batch_norm || draws_dropout(node);
    }
    Value* const result = of(nodes.back()->output());
    const bool is_view = operator_role(nodes.back()) == OperatorRole::kView;
    finish(is_view ? insert_contiguous(result) : result);
    return differs;
  }

  const std::shared_ptr<Graph>& graph() const { return graph_; }

 private:
  Value* add_input(const c10::TypePtr& type, const char* name) {
    return graph_->addInput(fmt::format("{}_{}", name, graph_->inputs().size() - 1))->setType(type);
  }

  /// The copy of a value; a constant is copied where it is first read.
  Value* of(Value* value) {
    Value*& copy = values_[value];
    if (!copy) copy = graph_->insertConstant(*torch::jit::toIValue(value));
    return copy;
  }

  Value* of(Node* consumer, size_t position) {
    const auto own = of_use_.find({consumer, position});
    return own == of_use_.end() ? of(consumer->input(position)) : own->second;
  }

  void add_copy(Node* node) {
    Node* const copy = graph_->createClone(node, [this](Value* value) { return of(value); });
    graph_->insertNode(copy);
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      if (Value* const input = of(node, i); input != copy->input(i)) copy->replaceInput(i, input);
    }
    values_[node->output()] = copy->output();
  }

  /// Autograd copies what an activation in place is about to write; in backward, where the graph is
  /// recorded, writing elsewhere is one pass less. The values are the same.
  static bool can_spare_writing(const Node* node) {
    if (operator_role(node) != OperatorRole::kWrite || node->inputs().size() != 1) return false;
    if (node->input(0)->uses().size() != 1) return false;
    return torch::jit::getOperatorForLiteral(
               (without_underscore(node) + "(Tensor self) -> Tensor").c_str()) != nullptr;
  }

  static std::string without_underscore(const Node* node) {
    std::string name = node->kind().toQualString();
    name.pop_back();
    return name;
  }

  void add_without_writing(Node* node) {
    Node* const made = insert(without_underscore(node).c_str(), {of(node, 0)}, 1);
    made->copyMetadata(node);
    values_[node->output()] = made->output();
  }

  /// Forward saves the statistics that it used; with them backward need not collect them again, nor
  /// read running ones that later steps have changed.
  void add_batch_norm(Node* node) {
    std::vector<Value*> inputs;
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      inputs.push_back(run_ == Run::kAgain && is_statistic(node, i) ? add_saved() : of(node, i));
    }
    const bool again = run_ == Run::kAgain;
    Node* const made = insert(again ? "invact::_batch_norm_again" : "invact::_batch_norm_forward",
                              inputs, again ? 1 : 3);
    made->copyMetadata(node);
    values_[node->output()] = made->output(0);
    if (again) return;
    saved_.push_back(made->output(1));
    saved_.push_back(made->output(2));
  }

  /// The next of the tensors that forward saved.
  Value* add_saved() {
    saved_.push_back(
        graph_->addInput(fmt::format("kept_{}", saved_.size()))->setType(c10::TensorType::get()));
    return saved_.back();
  }

  Value* insert_contiguous(Value* value) {
    Value* const format =
        graph_->insertConstant(static_cast<int64_t>(c10::MemoryFormat::Contiguous));
    return insert("aten::contiguous", {value, format}, 1)->output();
  }

  Node* insert(const char* name, const std::vector<Value*>& inputs, size_t outputs) {
    return graph_->insertNode(graph_->create(c10::Symbol::fromQualString(name), inputs, outputs));
  }

  /// Forward saves the bits that it drew; backward applies them.
  void add_dropout(Node* node) {
    const bool in_place = node->kind() == aten::dropout_;
    Value* const input = of(node, 0);
    Value* const p = of(node, 1);
    Value*& output = values_[node->output()];
    if (run_ == Run::kAgain) {
      Value* const saved = add_saved();
      output =
          insert("invact::_dropout_again", {input, saved, p, graph_->insertConstant(in_place)}, 1)
              ->output();
      return;
    }
    Node* const drawn = insert(in_place ? "invact::_dropout_forward_" : "invact::_dropout_forward",
                               {input, p}, in_place ? 1 : 2);
    output = in_place ? input : drawn->output(0);
    saved_.push_back(drawn->outputs().back());
  }

  void finish(Value* result) {
    if (run_ == Run::kAgain || saved_.empty()) {
      graph_->registerOutput(result);
      return;
    }
    std::vector<Value*> results = {result};
    results.insert(results.end(), saved_.begin(), saved_.end());
    graph_->registerOutput(graph_->insertNode(graph_->createTuple(results))->output());
  }

  Run run_;
  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
  std::unordered_map<const Value*, Value*> values_;
  std::map<std::pair<const Node*, size_t>, Value*> of_use_;
  std::vector<Value*> saved_;
};

void add_method(const c10::ClassTypePtr& type, torch::jit::CompilationUnit& unit,
                const std::string& name, const std::shared_ptr<Graph>& graph) {
  graph->lint();
  type->addMethod(unit.create_function(c10::QualifiedName(*type->name(), name), graph));
}

}  // namespace

SegmentMethod make_segment_method(const c10::ClassTypePtr& type, torch::jit::CompilationUnit& unit,
                                  const std::vector<Node*>& nodes) {
  const Inputs inputs(nodes);
  SegmentMethod method;
  for (const torch::jit::Use& use : inputs.tensors()) method.tensors.push_back(Inputs::value(use));
  method.others = inputs.others();
  int64_t number = 0;
  do {
    method.name = fmt::format("{}{}", kPrefix, number++);
  } while (type->findMethod(method.name));
  SegmentGraph forward(type, inputs, Run::kForward);
  const bool differs = forward.add(nodes);
  add_method(type, unit, method.name, forward.graph());
  if (differs) {
    SegmentGraph again(type, inputs, Run::kAgain);
    again.add(nodes);
    add_method(type, unit, method.name + kAgain, again.graph());
  }
  return method;
}

void remove_segment_methods(const torch::jit::Module& module) {
  const auto type = module.type();
  std::vector<std::string> names;
  for (const auto* const method : type->methods()) {
    if (method->name().starts_with(kPrefix)) names.push_back(method->name());
  }
  for (const std::string& name : names) type->unsafeRemoveMethod(name);
}

}  // namespace invact
