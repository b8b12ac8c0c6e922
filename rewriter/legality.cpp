#include "rewriter/legality.h"

#include <fmt/format.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <set>

#include "analyzer/source_lines.h"

namespace invact {
namespace {

using torch::jit::Node;

std::pair<std::string, CodeRange> code_key(const Node& node) {
  return {node.kind().toQualString(), code_range(node.sourceRange())};
}

bool can_be_inlined(Node* node) {
  const bool is_call = node->kind() == torch::jit::prim::CallMethod ||
                       node->kind() == torch::jit::prim::CallFunction;
  return is_call && torch::jit::tryToGraphFunction(node);
}

/// Inline() takes a callee's optimized graph for flat already; with the executor's optimization off
/// it is not, and each pass opens one level. Calls of interfaces stay.
void inline_every_call(torch::jit::Graph& graph) {
  const auto calls_remain = [&graph] {
    const auto nodes = nodes_in_order(graph);
    return std::any_of(nodes.begin(), nodes.end(), can_be_inlined);
  };
  while (calls_remain()) torch::jit::Inline(graph);
}

}  // namespace

std::optional<Rejection> check_variant(const GraphSite& site) {
  if (site.match.activation) return std::nullopt;
  return Rejection{"variant_unknown",
                   fmt::format("{}'s variant is not a constant that invact knows", site.match.op)};
}

std::optional<Rejection> check_function(const GraphSite& site) {
  if (site.in_function.empty()) return std::nullopt;
  return Rejection{"in_function",
                   fmt::format("stands in the function {}(), whose code all its callers share; a "
                               "traced model has it in the module's own code",
                               site.in_function)};
}

std::optional<Rejection> check_control_flow(const GraphSite& site) {
  if (!site.in_control_flow) return std::nullopt;
  return Rejection{"in_control_flow",
                   "stands inside an `if` or a loop, where one observed step does not show what "
                   "every step keeps"};
}

WholeModelAliases::WholeModelAliases(const torch::jit::Module& top)
    : graph_(top.get_method("forward").graph()->copy()) {
  inline_every_call(*graph_);
  // F.dropout(x, p, training, inplace) and the like hold both branches; a constant `inplace` leaves
  // one.
  torch::jit::ConstantPropagation(graph_);
  nodes_ = nodes_in_order(*graph_);
  for (Node* node : nodes_) nodes_by_code_[code_key(*node)].push_back(node);
  aliases_ = std::make_unique<torch::jit::AliasDb>(graph_, /*isFrozen=*/false,
                                                   /*descendFunctionCalls=*/true);
}

const std::vector<Node*>& WholeModelAliases::inlined(const GraphSite& site) const {
  static const std::vector<Node*> kNone;
  const auto found = nodes_by_code_.find(code_key(*site.match.node));
  return found == nodes_by_code_.end() ? kNone : found->second;
}

std::optional<Rejection> WholeModelAliases::check_output_written(const GraphSite& site) const {
  const auto& copies = inlined(site);
  if (copies.empty()) {
    return Rejection{"not_reachable",
                     "is called in a way that cannot be followed before the model runs (an "
                     "interface or a fork)"};
  }
  for (Node* node : copies) {
    const torch::jit::ValueSet output = {node->output()};
    for (Node* writer : nodes_) {
      // An in-place activation writes its own output; whoever wrote before it wrote its input.
      if (writer == node || !writer->isAfter(node)) continue;
      if (writer->blocks().empty() && aliases_->writesToAlias(writer, output)) {
        return Rejection{"output_written",
                         fmt::format("{} writes to its output in place, which is what would be "
                                     "kept for backward",
                                     writer->kind().toQualString())};
      }
    }
  }
  return std::nullopt;
}

std::vector<std::string> WholeModelAliases::consumers(const GraphSite& site) const {
  std::set<std::string> names;
  for (const Node* node : inlined(site)) {
    for (const auto& use : node->output()->uses()) names.insert(use.user->kind().toQualString());
  }
  return {names.begin(), names.end()};
}

}  // namespace invact
