#include "rewriter/recompute/segments.h"

#include <algorithm>
#include <unordered_set>

#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/copying_linear.h"
#include "rewriter/recompute/grown_segment.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// Finds the chains from the end of the model towards its start.
class Regions {
 public:
  Regions(const InlinedModel& inlined, const ObservedGraph& observed)
      : inlined_(inlined), observed_(observed), sources_(inlined.nodes()) {}

  std::vector<Region> find() && {
    const auto& nodes = inlined_.nodes();
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      if (!taken_.contains(*node)) add_chain_of(*node);
    }
    for (Region& region : regions_) {
      region.keeps_order = keeps_gradient_order(region, observed_, taken_);
    }
    std::reverse(regions_.begin(), regions_.end());
    return std::move(regions_);
  }

 private:
  void add_chain_of(Node* output) {
    if (!can_be_output(output)) return;
    auto region = chain(output, ResidualSums::kPass);
    if (region && passes_sums(*region) && !may_run_sums_again(*region)) region.reset();
    if (!region && !sources_.is_residual_sum(output)) region = chain(output, ResidualSums::kStop);
    if (!region) return;
    for (const Node* const member : region->nodes) taken_.emplace(member, output);
    if (passes_sums(*region) || (region->result && needed_.contains(region->result->value))) {
      for (const Value* const input : region->inputs) {
        if (const auto storage = observed_.storage(input)) needed_.insert(storage->value);
      }
    }
    regions_.push_back(std::move(*region));
  }

  bool can_be_output(const Node* node) const {
    if (!inlined_.origin(*node) || !observed_.call(node)) return false;
    if (copying_linear(node, inlined_, observed_)) return true;
    const ChainRole role = chain_role(node);
    return role == ChainRole::kCompute || role == ChainRole::kWrite;
  }

  std::optional<Region> chain(Node* output, ResidualSums sums) const {
    auto region = grow_chain(output, inlined_, observed_, sources_, taken_, sums);
    if (region) add_readers(*region);
    return region;
  }

  /// Who reads the result, and where it lies.
  void add_readers(Region& region) const {
    if (const auto linear = copying_linear(region.output(), inlined_, observed_)) {
      region.result = linear->copy;
      region.readers = {{linear->node, linear->tensor, /*saves=*/true, /*copies=*/true}};
      return;
    }
    region.result = observed_.storage(region.output()->output());
    if (!region.result) return;
    region.readers =
        find_readers(region.output()->output(), *region.result, inlined_, observed_, taken_);
  }

  bool passes_sums(const Region& region) const {
    return std::ranges::any_of(region.nodes,
                               [this](const Node* node) { return sources_.is_residual_sum(node); });
  }

  /// What feeds a residual sum is needed whole to run it again: that is worth it where all of it is
  /// kept anyway. And no such chain may need what another one gives back, or backward would begin
  /// by running one after the other from the model's start, and have all their results at once.
  bool may_run_sums_again(const Region& region) const {
    if (!region.result || needed_.contains(region.result->value)) return false;
    if (!std::ranges::any_of(region.readers, &RegionReader::saves)) return false;
    return std::ranges::all_of(region.inputs, [this](const Value* input) {
      const auto storage = observed_.storage(input);
      return storage && observed_.is_kept(*storage);
    });
  }

  const InlinedModel& inlined_;
  const ObservedGraph& observed_;
  const ChainSources sources_;
  ChainEnds taken_;
  /// Storages from which chains through sums run again, and what those are made from in turn.
  std::unordered_set<int64_t> needed_;
  std::vector<Region> regions_;
};

}  // namespace

std::vector<Region> find_regions(const InlinedModel& inlined, const ObservedGraph& observed) {
  return Regions(inlined, observed).find();
}

}  // namespace invact
