#include "rewriter/planning/legality.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "analyzer/model/module_paths.h"
#include "rewriter/graph/operator_roles.h"
#include "rewriter/patterns/dropout.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

/// The innermost loop whose body holds both nodes; null where there is none.
const Node* common_loop(const Node* a, const Node* b) {
  std::set<const Node*> around_a;
  for (auto* block = a->owningBlock(); block->owningNode();
       block = block->owningNode()->owningBlock()) {
    if (block->owningNode()->kind() == prim::Loop) around_a.insert(block->owningNode());
  }
  for (auto* block = b->owningBlock(); block->owningNode();
       block = block->owningNode()->owningBlock()) {
    if (around_a.contains(block->owningNode())) return block->owningNode();
  }
  return nullptr;
}

/// The values under which a tensor that `node` makes may still be known in later turns of the loops
/// around it, and behind them. AliasDb follows one turn alone: it does not lead a loop body's
/// results back to its inputs.
torch::jit::ValueSet with_later_turns(Node* node, const torch::jit::AliasDb& aliases) {
  torch::jit::ValueSet known = {node->output()};
  const auto is_known = [&](Value* value) {
    return std::any_of(known.begin(), known.end(), [&](const Value* member) {
      return aliases.mayContainAlias(const_cast<Value*>(member), value);
    });
  };
  for (auto* block = node->owningBlock(); block->owningNode();
       block = block->owningNode()->owningBlock()) {
    Node* const loop = block->owningNode();
    if (loop->kind() != prim::Loop) continue;
    // A body takes the turn's number first and returns whether to go on first.
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < loop->outputs().size(); ++i) {
        if (known.contains(loop->output(i)) || !is_known(block->outputs()[i + 1])) continue;
        known.insert(loop->output(i));
        known.insert(block->inputs()[i + 1]);
        changed = true;
      }
    }
  }
  return known;
}

/// `value` is a new tensor each time that its node's block runs, as a linear's result is.
bool is_new_tensor(const torch::jit::Value* value) {
  const auto* const schema = value->node()->maybeSchema();
  return schema && schema->returns().size() > value->offset() &&
         !schema->returns()[value->offset()].alias_info();
}

/// What `value` is a view of, or may be; itself where it is none.
const Value* viewed(const Value* value) {
  while (operator_role(value->node()) == OperatorRole::kView &&
         is_tensor(value->node()->input(0))) {
    value = value->node()->input(0);
  }
  return value;
}

bool writes_first_alone(const Node* node) {
  const auto* const schema = node->maybeSchema();
  if (!schema) return false;
  const auto& arguments = schema->arguments();
  const auto is_written = [](const c10::Argument& argument) {
    return argument.alias_info() && argument.alias_info()->isWrite();
  };
  return !arguments.empty() && is_written(arguments[0]) &&
         std::ranges::count_if(arguments, is_written) == 1;
}

/// All that a node writes; empty: that is not known.
std::vector<const Value*> written_by(const Node* node) {
  if (writes_first_alone(node)) return {node->input(0)};
  std::vector<const Value*> statistics;
  for (size_t i = 0; i < node->inputs().size(); ++i) {
    if (is_statistic(node, i)) statistics.push_back(node->input(i));
  }
  return statistics;
}

/// An in-place operator in a loop writes what an earlier turn returned, unless its input is made
/// anew in the same turn.
bool overwrites_earlier_turn(const Node* node) {
  return common_loop(node, node) && !(is_new_tensor(node->input(0)) &&
                                      node->input(0)->node()->owningBlock() == node->owningBlock());
}

/// A segment writes only what it made itself; what another pattern overwrites, it must have made
/// for that alone.
bool overwrites_its_own(const Candidate& candidate, const Match& match, const Node* node) {
  const auto is_member = [&match](const Node* other) {
    return std::ranges::count(match.nodes, other) > 0;
  };
  if (!is_member(node)) return false;
  if (candidate.is_segment()) return true;
  const Value* const overwritten = node->input(0);
  return writes_first_alone(node) && is_member(overwritten->node()) &&
         overwritten->uses().size() == 1;
}

}  // namespace

WholeModelAliases::WholeModelAliases(const InlinedModel& inlined) : inlined_(inlined) {
  const auto& nodes = inlined.nodes();
  if (std::none_of(nodes.begin(), nodes.end(), &may_write)) return;
  aliases_ = std::make_unique<torch::jit::AliasDb>(inlined.graph(), /*isFrozen=*/false,
                                                   /*descendFunctionCalls=*/true);
}

std::optional<Rejection> WholeModelAliases::check_output_written(const Candidate& candidate) const {
  for (const Match& match : candidate.copies) {
    Node* const node = match.output();
    if (!aliases_ || !may_be_written(node)) continue;
    const torch::jit::ValueSet output = with_later_turns(node, *aliases_);
    for (Node* writer : inlined_.nodes()) {
      if (!writer->blocks().empty() || !aliases_->writesToAlias(writer, output)) continue;
      // An in-place activation writes its own output; what wrote before it wrote its input.
      const bool writes_later = writer == node ? overwrites_earlier_turn(node)
                                               : writer->isAfter(node) || common_loop(writer, node);
      if (!writes_later) continue;
      return Rejection{"output_written",
                       fmt::format("{} writes to its output in place, which is what would be "
                                   "kept for backward",
                                   writer->kind().toQualString())};
    }
  }
  return std::nullopt;
}

/// Whether a search for writers can be spared: in a loop a result is known under other names.
bool WholeModelAliases::may_be_written(const Node* node) const {
  return common_loop(node, node) || aliases_->hasWriters(node->output());
}

/// What a pattern's nodes read. To AliasDb one attribute could be any other of the model, so that a
/// counter that is counted up in between would be a write to its weights: those go by their names.
struct WholeModelAliases::Read {
  torch::jit::ValueSet values;
  torch::jit::ValueSet attributes;
  std::set<std::string> names;

  void add(const Node* node) {
    for (const Value* const input : node->inputs()) {
      const auto name = attribute_name(input);
      (name ? attributes : values).insert(input);
      if (name) names.insert(*name);
    }
  }

  static std::optional<std::string> attribute_name(const Value* value) {
    const Node* const node = viewed(value)->node();
    if (node->kind() != prim::GetAttr || !is_tensor(value)) return std::nullopt;
    const auto owner = submodule_path(node->input());
    if (!owner) return std::nullopt;
    return join_module_path(*owner, node->s(torch::jit::attr::name));
  }
};

bool WholeModelAliases::writes_to(Node* node, const Read& read) const {
  if (aliases_->writesToAlias(node, read.values)) return true;
  if (!aliases_->writesToAlias(node, read.attributes)) return false;
  const std::vector<const Value*> written = written_by(node);
  return written.empty() || std::ranges::any_of(written, [&read](const Value* value) {
           const auto name = Read::attribute_name(value);
           return !name || read.names.contains(*name);
         });
}

std::optional<Rejection> WholeModelAliases::check_written_between(
    const Candidate& candidate) const {
  for (const Match& match : candidate.copies) {
    if (!aliases_ || match.nodes.size() < 2) continue;
    const bool may_be_written = std::ranges::any_of(match.nodes, [this](const Node* node) {
      return std::ranges::any_of(
          node->inputs(), [this](const Value* input) { return aliases_->hasWriters(input); });
    });
    if (!may_be_written) continue;
    // What was written before the first of them reads it is the same for one operator in the last
    // one's place.
    Read read;
    for (Node* node = match.nodes.front(); node != match.output(); node = node->next()) {
      if (std::ranges::count(match.nodes, node) > 0) {
        read.add(node);
        read.values.insert(node->outputs().begin(), node->outputs().end());
      }
      if (node == match.nodes.front() || overwrites_its_own(candidate, match, node)) continue;
      if (!writes_to(node, read)) continue;
      return Rejection{"input_written",
                       fmt::format("{} writes to its input in place while it is being computed",
                                   node->kind().toQualString())};
    }
  }
  return std::nullopt;
}

std::optional<Rejection> WholeModelAliases::check_inputs_written(const Candidate& candidate) const {
  for (const Match& match : candidate.copies) {
    if (!aliases_) continue;
    for (const Value* const input : match.inputs) {
      // To AliasDb one counter that is counted up could be any of the module's tensors. Autograd
      // itself minds a parameter that is changed before backward.
      if (viewed(input)->node()->kind() == prim::GetAttr || !aliases_->hasWriters(input)) continue;
      const Node* const consumer = first_consumer(match.nodes, input);
      for (Node* writer : inlined_.nodes()) {
        if (!writer->blocks().empty() || !aliases_->writesToAlias(writer, {input})) continue;
        if (std::ranges::count(match.nodes, writer) > 0) continue;
        if (!writer->isAfter(consumer) && !common_loop(writer, match.output())) continue;
        return Rejection{"input_written",
                         fmt::format("{} writes in place to what it would run again from",
                                     writer->kind().toQualString())};
      }
    }
  }
  return std::nullopt;
}

std::vector<std::string> consumers(const Candidate& candidate) {
  std::set<std::string> names;
  for (const Match& match : candidate.copies) {
    for (const auto& use : match.output()->output()->uses()) {
      names.insert(use.user->kind().toQualString());
    }
  }
  return {names.begin(), names.end()};
}

bool is_read_by_idle_dropout(const Candidate& candidate) {
  for (const Match& match : candidate.copies) {
    for (const auto& use : match.output()->output()->uses()) {
      if (use.user->kind() == torch::jit::aten::dropout && !match_dropout(use.user)) return true;
    }
  }
  return false;
}

}  // namespace invact
