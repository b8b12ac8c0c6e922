#include "rewriter/recompute/grow_segment.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "kernels/heavy_operators.h"
#include "rewriter/graph/metadata_readers.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

/// Whether a segment can be handed this value, which is no tensor, as it is.
bool is_plain(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>()) {
    return is_plain(optional->getElementType());
  }
  if (const auto list = type->cast<c10::ListType>()) return is_plain(list->getElementType());
  switch (type->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::NumberType:
      return true;
    default:
      return false;
  }
}

/// The segment while it grows from its result towards what feeds it.
class GrowingSegment {
 public:
  GrowingSegment(Node* output, const InlinedModel& inlined, const ObservedGraph& observed,
                 const SumSources& sources, const SegmentEnds& taken, ResidualSums sums)
      : output_(output),
        inlined_(inlined),
        observed_(observed),
        sources_(sources),
        taken_(taken),
        sums_(sums) {
    do {
      members_ = {output};
      grow();
      while (trim()) {
      }
    } while (refuse());
  }

  /// None where this is no segment that can be run again by itself.
  std::optional<Segment> segment() const {
    Segment segment;
    segment.nodes.assign(members_.begin(), members_.end());
    std::sort(segment.nodes.begin(), segment.nodes.end(),
              [](const Node* a, const Node* b) { return a->isBefore(b); });
    for (Node* const node : segment.nodes) {
      if (operator_role(node) == OperatorRole::kWrite && !is_made_within(node)) return std::nullopt;
      for (size_t i = 0; i < node->inputs().size(); ++i) {
        Value* const input = node->input(i);
        if (members_.contains(input->node()) || is_statistic(node, i)) continue;
        if (input->node()->kind() == prim::Constant) continue;
        if (!is_tensor(input)) {
          if (!is_plain(input->type())) return std::nullopt;
        } else if (std::ranges::count(segment.inputs, input) == 0) {
          segment.inputs.push_back(input);
        }
      }
    }
    if (moves_random_numbers(segment) || !inlined_.common_method_call(segment.nodes)) {
      return std::nullopt;
    }
    return segment;
  }

 private:
  void grow() {
    std::vector<Node*> waiting = {output_};
    while (!waiting.empty()) {
      Node* const node = waiting.back();
      waiting.pop_back();
      for (Value* const input : node->inputs()) {
        Node* const maker = input->node();
        if (members_.contains(maker) || !can_join(maker)) continue;
        members_.insert(maker);
        waiting.push_back(maker);
      }
      // What one member alone could not bring in, two may.
      if (waiting.empty()) {
        for (Node* const member : members_) {
          for (Value* const input : member->inputs()) {
            Node* const maker = input->node();
            if (members_.contains(maker) || !can_join(maker)) continue;
            waiting.push_back(maker);
          }
        }
        members_.insert(waiting.begin(), waiting.end());
      }
    }
  }

  bool can_join(Node* maker) const {
    const OperatorRole role = operator_role(maker);
    if (role == OperatorRole::kNone || maker->owningBlock() != output_->owningBlock()) return false;
    if (taken_.contains(maker) || refused_.contains(maker) || !inlined_.origin(*maker)) {
      return false;
    }
    if (sums_ == ResidualSums::kStop && sources_.is_residual_sum(maker)) return false;
    if (role != OperatorRole::kList && !observed_.call(maker)) return false;
    // The code editor finds a branch that a flag decides in the code still.
    if (inlined_.origin(*maker)->open_branch != inlined_.origin(*output_)->open_branch)
      return false;
    // A consumer in a branch that the inlined model has dropped still reads it in the code.
    if (inlined_.origin(*maker)->read_in_open_branch) return false;
    return std::ranges::all_of(maker->output()->uses(), [&](const torch::jit::Use& use) {
      return members_.contains(use.user) ||
             metadata_is_that_of_argument(use.user, maker, inlined_, observed_);
    });
  }

  /// Takes back the first member whose metadata a node outside reads and no tensor in front of the
  /// segment has: what that member makes may have the metadata of the members behind it.
  bool refuse() {
    const Node* first = nullptr;
    for (Node* const node : members_) {
      if (node == output_ || (first && first->isBefore(node))) continue;
      const bool are_told = std::ranges::all_of(node->output()->uses(), [&](const auto& use) {
        return members_.contains(use.user) || is_told_in_front(use.user, node->output());
      });
      if (!are_told) first = node;
    }
    return first && refused_.insert(first).second;
  }

  bool is_told_in_front(const Node* consumer, Value* value) const {
    while (members_.contains(value->node())) {
      if (!metadata_is_that_of_argument(consumer, value->node(), inlined_, observed_)) return false;
      value = same_sizes_before(value, {value->node()});
    }
    return true;
  }

  /// A view of what feeds the segment feeds it as well.
  bool trim() {
    for (Node* const node : members_) {
      const bool is_view = operator_role(node) == OperatorRole::kView ||
                           (operator_role(node) == OperatorRole::kWrite && !is_made_within(node));
      if (node == output_ || !is_view) continue;
      const bool reads_member = std::ranges::any_of(
          node->inputs(), [this](Value* input) { return members_.contains(input->node()); });
      if (reads_member || views_what_is_computed_with(node)) continue;
      members_.erase(node);
      return true;
    }
    return false;
  }

  /// The gradient that comes through the view must join the other one where it does today.
  bool views_what_is_computed_with(const Node* view) const {
    if (operator_role(view) != OperatorRole::kView) return false;
    return std::ranges::any_of(view->input(0)->uses(), [this](const torch::jit::Use& use) {
      return members_.contains(use.user) && operator_role(use.user) == OperatorRole::kCompute;
    });
  }

  bool is_made_within(Node* writer) const {
    Node* const maker = writer->input(0)->node();
    return members_.contains(maker) && operator_role(maker) != OperatorRole::kView &&
           operator_role(maker) != OperatorRole::kList;
  }

  /// The segment runs where its last node stood. A dropout in it must not change places with
  /// anything that may draw random numbers.
  bool moves_random_numbers(const Segment& segment) const {
    const auto first = std::ranges::find_if(segment.nodes, &draws_dropout);
    if (first == segment.nodes.end()) return false;
    for (Node* node = *first; node != segment.output(); node = node->next()) {
      if (!members_.contains(node) && may_draw(node)) return true;
    }
    return false;
  }

  static bool may_draw(const Node* node) {
    if (draws_dropout(node)) return true;
    if (!node->kind().is_aten()) return !node->kind().is_prim();
    return operator_role(node) == OperatorRole::kNone &&
           (kernels::is_heavy(node->kind().toQualString()) || node->isNondeterministic());
  }

  Node* output_;
  const InlinedModel& inlined_;
  const ObservedGraph& observed_;
  const SumSources& sources_;
  const SegmentEnds& taken_;
  const ResidualSums sums_;
  std::unordered_set<const Node*> refused_;
  std::unordered_set<Node*> members_;
};

}  // namespace

std::optional<Segment> grow_segment(Node* output, const InlinedModel& inlined,
                                    const ObservedGraph& observed, const SumSources& sources,
                                    const SegmentEnds& taken, ResidualSums sums) {
  return GrowingSegment(output, inlined, observed, sources, taken, sums).segment();
}

}  // namespace invact
