// Who reads a region's result: found through views, by the storages of the observed step.
#include <algorithm>
#include <optional>

#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/segments.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

class Readers {
 public:
  Readers(const Node* maker, StorageId storage, const InlinedModel& inlined,
          const ObservedGraph& observed)
      : maker_(maker), storage_(storage), inlined_(inlined), observed_(observed) {}

  /// False where somebody cannot be named.
  bool add(Value* value) {
    return std::ranges::all_of(value->uses(), [this](const torch::jit::Use& use) {
      return add_user(use.user, {use.user, use.offset});
    });
  }

  std::vector<RegionReader> sorted() && {
    std::stable_sort(
        readers_.begin(), readers_.end(),
        [](const RegionReader& a, const RegionReader& b) { return a.node->isBefore(b.node); });
    const auto again =
        std::unique(readers_.begin(), readers_.end(),
                    [](const RegionReader& a, const RegionReader& b) { return a.node == b.node; });
    readers_.erase(again, readers_.end());
    return std::move(readers_);
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
    // Whoever keeps it must have results of its own to hang a hook on.
    if (saves && (is_view || !std::ranges::all_of(user->outputs(), is_tensor))) return false;
    readers_.push_back({user, tensor, saves});
    return !is_view || add_views(user);
  }

  /// A list that operators take apart at once, as cat's.
  bool add_list(Node* list, NodeInput tensor) {
    return std::ranges::all_of(list->output()->uses(), [&](const torch::jit::Use& use) {
      return use.user->kind().is_aten() && inlined_.same_code(*use.user, *list) &&
             add_user(use.user, tensor);
    });
  }

  bool add_views(Node* view) {
    return std::ranges::all_of(view->outputs(), [this](Value* output) {
      if (is_tensor(output)) return add(output);
      // chunk, split, unbind: a list whose elements are views.
      return std::ranges::all_of(output->uses(), [this](const torch::jit::Use& use) {
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
  std::vector<RegionReader> readers_;
};

}  // namespace

std::vector<RegionReader> find_readers(Value* value, StorageId storage, const InlinedModel& inlined,
                                       const ObservedGraph& observed, const ChainEnds& ends) {
  Readers readers(value->node(), storage, inlined, observed);
  if (!readers.add(value)) return {};
  std::vector<RegionReader> found = std::move(readers).sorted();
  const auto end_of = [&ends](const RegionReader& reader) {
    const auto end = ends.find(reader.node);
    return end == ends.end() ? reader.node : end->second;
  };
  const bool last_is_certain = std::ranges::all_of(found, [&](const RegionReader& reader) {
    return end_of(reader) == end_of(found.back()) || end_of(reader)->isBefore(found.back().node);
  });
  return last_is_certain ? found : std::vector<RegionReader>();
}

}  // namespace invact
