#include "rewriter/graph/observed_graph.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <map>

#include "rewriter/plan.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

/// One node of the model's own code, in one module, with its inlined copies and their calls.
struct CodeNode {
  SiteNode node;
  std::vector<const Node*> copies;
  std::vector<CallId> calls;
};
using CodeNodes = std::map<std::pair<std::string, CodeRange>, std::vector<CodeNode>>;

CodeNodes code_nodes(const InlinedModel& inlined) {
  CodeNodes nodes;
  for (const Node* const node : inlined.nodes()) {
    const NodeOrigin* const origin = inlined.origin(*node);
    if (!origin || origin->frames.empty()) continue;
    auto& entries = nodes[{origin->module_path, origin->frames.front()}];
    const SiteNode place = {node->kind().toQualString(), origin->frames};
    const auto entry = std::ranges::find(entries, place, &CodeNode::node);
    if (entry == entries.end()) {
      entries.push_back({place, {node}, {}});
    } else {
      entry->copies.push_back(node);
    }
  }
  return nodes;
}

/// How many tensors an operator's input stands for; none where only the run decides.
std::optional<size_t> tensor_count(const Value* value) {
  if (is_tensor(value)) return 1;
  if (const auto constant = torch::jit::toIValue(value)) {
    if (constant->isTensorList()) return constant->toTensorVector().size();
    return constant->isTensor() ? 1 : 0;
  }
  const bool is_list = value->type()->isSubtypeOf(*c10::ListType::ofTensors());
  if (is_list && value->node()->kind() == prim::ListConstruct) {
    return value->node()->inputs().size();
  }
  const auto optional = value->type()->cast<c10::OptionalType>();
  const bool may_be_tensor =
      is_list || (optional && optional->getElementType()->isSubtypeOf(*c10::TensorType::get()));
  return may_be_tensor ? std::nullopt : std::optional<size_t>(0);
}

}  // namespace

ObservedGraph::ObservedGraph(const InlinedModel& inlined, const Report& report,
                             const ObservedSavers& savers)
    : report_(report), savers_(savers) {
  CodeNodes nodes = code_nodes(inlined);
  for (const OperatorCall& call : report.calls) {
    if (call.frames.empty()) continue;
    const auto found = nodes.find({call.module_path, call.frames.front()});
    if (found == nodes.end()) continue;
    for (CodeNode& node : found->second) {
      if (node.node.is_called_by(call)) node.calls.push_back(call.id);
    }
  }
  for (const auto& [place, entries] : nodes) {
    for (const CodeNode& node : entries) {
      if (node.calls.size() != node.copies.size()) continue;
      for (size_t i = 0; i < node.copies.size(); ++i) calls_[node.copies[i]] = node.calls[i];
    }
  }
}

const OperatorCall* ObservedGraph::call(const Node* node) const {
  const auto found = calls_.find(node);
  return found == calls_.end() ? nullptr : &report_.call(found->second);
}

std::optional<StorageId> ObservedGraph::storage(const Value* value) const {
  if (const auto made = made_by(value)) return made;
  for (const auto& use : value->uses()) {
    if (const auto read = read_by(use)) return read;
  }
  return std::nullopt;
}

bool ObservedGraph::saves(const OperatorCall& call, StorageId storage) const {
  return std::ranges::count(savers_.saved_by(call.id), storage) > 0;
}

bool ObservedGraph::is_saved(StorageId storage) const {
  return report_.storage(storage).role != StorageRole::kActivation || savers_.is_saved(storage);
}

std::optional<StorageId> ObservedGraph::own_copy(const OperatorCall& call, int64_t bytes) const {
  if (!report_.run.autocast.empty()) return std::nullopt;
  for (const StorageId saved : savers_.saved_by(call.id)) {
    const Storage& storage = report_.storage(saved);
    const bool is_given =
        std::ranges::count(call.inputs, saved) > 0 || std::ranges::count(call.outputs, saved) > 0;
    if (!is_given && storage.bytes == bytes && storage.role == StorageRole::kActivation) {
      return saved;
    }
  }
  return std::nullopt;
}

std::optional<StorageId> ObservedGraph::made_by(const Value* value) const {
  const bool is_element = value->node()->kind() == prim::ListUnpack;
  const Node* const maker = is_element ? value->node()->input()->node() : value->node();
  const OperatorCall* const made = call(maker);
  if (!made) return std::nullopt;
  const bool makes_tensors = is_element || std::ranges::all_of(maker->outputs(), &is_tensor);
  if (!makes_tensors || value->offset() >= made->outputs.size()) return std::nullopt;
  return made->outputs[value->offset()];
}

std::optional<StorageId> ObservedGraph::read_by(const torch::jit::Use& use) const {
  const OperatorCall* const consumer = call(use.user);
  if (!consumer) return std::nullopt;
  size_t before = 0;
  for (size_t i = 0; i < use.offset; ++i) {
    const auto count = tensor_count(use.user->input(i));
    if (!count) return std::nullopt;
    before += *count;
  }
  if (before >= consumer->inputs.size()) return std::nullopt;
  return consumer->inputs[before];
}

}  // namespace invact
