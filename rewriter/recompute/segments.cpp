#include "rewriter/recompute/segments.h"

#include <algorithm>
#include <unordered_set>

#include "analyzer/model/module_paths.h"
#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/copying_linear.h"
#include "rewriter/recompute/grow_segment.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Use;
using torch::jit::Value;

/// Collects the operators that read a tensor: found through views, by the storages of the observed
/// step.
class Consumers {
 public:
  Consumers(const Node* maker, StorageId storage, const InlinedModel& inlined,
            const ObservedGraph& observed)
      : maker_(maker), storage_(storage), inlined_(inlined), observed_(observed) {}

  /// Adds the operators that read `value`. @returns false where one of them cannot be named.
  bool add(Value* value) {
    return std::ranges::all_of(value->uses(), [this](const Use& use) {
      return add_user(use.user, {use.user, use.offset});
    });
  }

  std::vector<SegmentConsumer> sorted() && {
    std::stable_sort(consumers_.begin(), consumers_.end(),
                     [](const SegmentConsumer& a, const SegmentConsumer& b) {
                       return a.node->isBefore(b.node);
                     });
    const auto again = std::unique(
        consumers_.begin(), consumers_.end(),
        [](const SegmentConsumer& a, const SegmentConsumer& b) { return a.node == b.node; });
    consumers_.erase(again, consumers_.end());
    return std::move(consumers_);
  }

 private:
  bool add_user(Node* user, NodeInput tensor) {
    if (reads_no_memory(user)) return true;
    if (user->owningBlock() != maker_->owningBlock() || !inlined_.origin(*user)) return false;
    if (user->kind() == prim::ListConstruct) return add_list(user, tensor);
    const OperatorCall* const call = observed_.call(user);
    if (!call || !inlined_.common_method_call({user})) return false;
    const bool saves = observed_.saves(*call, storage_);
    const bool is_view = std::ranges::count(call->outputs, storage_) > 0;
    // An operator that saves the tensor must have results of its own to hang a hook on.
    if (saves && (is_view || !std::ranges::all_of(user->outputs(), is_tensor))) return false;
    consumers_.push_back({user, tensor, saves ? Consumer::Use::kSaves : Consumer::Use::kReads});
    return !is_view || add_views(user);
  }

  /// A list that operators take apart at once, as cat's.
  bool add_list(Node* list, NodeInput tensor) {
    return std::ranges::all_of(list->output()->uses(), [&](const Use& use) {
      return use.user->kind().is_aten() && inlined_.same_code(*use.user, *list) &&
             add_user(use.user, tensor);
    });
  }

  bool add_views(Node* view) {
    return std::ranges::all_of(view->outputs(), [this](Value* output) {
      if (is_tensor(output)) return add(output);
      // chunk, split, unbind: a list whose elements are views.
      return std::ranges::all_of(output->uses(), [this](const Use& use) {
        return use.user->kind() == prim::ListUnpack &&
               use.user->owningBlock() == maker_->owningBlock() &&
               std::ranges::all_of(use.user->outputs(),
                                   [this](Value* element) { return add(element); });
      });
    });
  }

  const Node* maker_;
  StorageId storage_;
  const InlinedModel& inlined_;
  const ObservedGraph& observed_;
  std::vector<SegmentConsumer> consumers_;
};

/// The operators that read `value`, whose storage is `storage`; see Segment::consumers. None as
/// well where it depends on the segments behind it, `ends`, which operator reads last.
std::vector<SegmentConsumer> find_consumers(Value* value, StorageId storage,
                                            const InlinedModel& inlined,
                                            const ObservedGraph& observed,
                                            const SegmentEnds& ends) {
  Consumers consumers(value->node(), storage, inlined, observed);
  if (!consumers.add(value)) return {};
  std::vector<SegmentConsumer> found = std::move(consumers).sorted();
  const auto end_of = [&ends](const SegmentConsumer& consumer) {
    const auto end = ends.find(consumer.node);
    return end == ends.end() ? consumer.node : end->second;
  };
  const bool last_is_certain = std::ranges::all_of(found, [&](const SegmentConsumer& consumer) {
    return end_of(consumer) == end_of(found.back()) ||
           end_of(consumer)->isBefore(found.back().node);
  });
  return last_is_certain ? found : std::vector<SegmentConsumer>();
}

bool is_member(const Segment& segment, const Node* node) {
  return std::ranges::count(segment.nodes, node) > 0;
}

/// Whether a call that reads `value` shows that no gradient goes to it.
bool takes_no_gradient(const Value* value, const ObservedGraph& observed) {
  if (value->node()->kind() == torch::jit::prim::Constant) return true;
  return std::ranges::any_of(value->uses(), [&observed](const Use& use) {
    const OperatorCall* const call = use.offset == 0 ? observed.call(use.user) : nullptr;
    return call && !call->inputs.empty() && !call->input_requires_grad;
  });
}

/// See Segment::gradients. The segment's backward runs where its last node's did, before that of
/// every operator in between that reads one of its inputs: a sum of three gradients then rounds
/// otherwise, and one of two may lie otherwise in memory.
bool keeps_gradient_order(const Segment& segment, const ObservedGraph& observed,
                          const SegmentEnds& ends) {
  const auto* const block = segment.output()->owningBlock();
  return std::ranges::all_of(segment.inputs, [&](const Value* input) {
    if (takes_no_gradient(input, observed)) return true;
    const Node* const first = first_consumer(segment.nodes, input);
    return std::ranges::all_of(input->uses(), [&](const Use& use) {
      if (is_member(segment, use.user) || reads_no_memory(use.user)) return true;
      // Whether the consumer's own segment is run as one is not decided yet.
      const auto end = ends.find(use.user);
      const Node* const consumer = within(block, use.user);
      const Node* const last = end == ends.end() ? consumer : within(block, end->second);
      if (!consumer || !last) return false;
      return (consumer->isBefore(first) && last->isBefore(first)) ||
             (consumer->isAfter(segment.output()) && last->isAfter(segment.output()));
    });
  });
}

/// Finds the segments from the end of the model towards its start.
class SegmentFinder {
 public:
  SegmentFinder(const InlinedModel& inlined, const ObservedGraph& observed)
      : inlined_(inlined), observed_(observed), sources_(inlined.nodes()) {}

  std::vector<Segment> find() && {
    const auto& nodes = inlined_.nodes();
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      if (!taken_.contains(*node)) add_segment_of(*node);
    }
    for (Segment& segment : segments_) {
      if (!keeps_gradient_order(segment, observed_, taken_)) {
        segment.gradients = GradientBits::kRounded;
      }
    }
    std::reverse(segments_.begin(), segments_.end());
    return std::move(segments_);
  }

 private:
  void add_segment_of(Node* output) {
    if (!can_be_output(output)) return;
    auto segment = segment_of(output, ResidualSums::kPass);
    if (segment && passes_sums(*segment) && !may_run_sums_again(*segment)) segment.reset();
    if (!segment && !sources_.is_residual_sum(output)) {
      segment = segment_of(output, ResidualSums::kStop);
    }
    if (!segment) return;
    for (const Node* const member : segment->nodes) taken_.emplace(member, output);
    if (passes_sums(*segment) || (segment->result && needed_.contains(segment->result->value))) {
      for (const Value* const input : segment->inputs) {
        if (const auto storage = observed_.storage(input)) needed_.insert(storage->value);
      }
    }
    segments_.push_back(std::move(*segment));
  }

  bool can_be_output(const Node* node) const {
    if (!inlined_.origin(*node) || !observed_.call(node)) return false;
    if (copying_linear(node, inlined_, observed_)) return true;
    const OperatorRole role = operator_role(node);
    return role == OperatorRole::kCompute || role == OperatorRole::kWrite;
  }

  std::optional<Segment> segment_of(Node* output, ResidualSums sums) const {
    auto segment = grow_segment(output, inlined_, observed_, sources_, taken_, sums);
    if (segment) add_consumers(*segment);
    return segment;
  }

  /// Notes the storage of the result and the operators that read it.
  void add_consumers(Segment& segment) const {
    if (const auto linear = copying_linear(segment.output(), inlined_, observed_)) {
      segment.result = linear->copy;
      segment.consumers = {{linear->node, linear->tensor, Consumer::Use::kCopies}};
      return;
    }
    segment.result = observed_.storage(segment.output()->output());
    if (!segment.result) return;
    segment.consumers =
        find_consumers(segment.output()->output(), *segment.result, inlined_, observed_, taken_);
  }

  bool passes_sums(const Segment& segment) const {
    return std::ranges::any_of(segment.nodes,
                               [this](const Node* node) { return sources_.is_residual_sum(node); });
  }

  /// To run a residual sum again takes all that feeds it, which is worth it where all of that is
  /// saved anyway. And no such segment may need what another one gives back: otherwise backward
  /// would begin by running one after the other from the model's start, with all their results in
  /// memory at once.
  bool may_run_sums_again(const Segment& segment) const {
    if (!segment.result || needed_.contains(segment.result->value)) return false;
    if (!std::ranges::any_of(segment.consumers, &SegmentConsumer::saves)) return false;
    return std::ranges::all_of(segment.inputs, [this](const Value* input) {
      const auto storage = observed_.storage(input);
      return storage && observed_.is_saved(*storage);
    });
  }

  const InlinedModel& inlined_;
  const ObservedGraph& observed_;
  const SumSources sources_;
  SegmentEnds taken_;
  /// Storages from which segments through sums run again, and what those are made from in turn.
  std::unordered_set<int64_t> needed_;
  std::vector<Segment> segments_;
};

}  // namespace

std::vector<Segment> find_segments(const InlinedModel& inlined, const ObservedGraph& observed) {
  return SegmentFinder(inlined, observed).find();
}

}  // namespace invact
