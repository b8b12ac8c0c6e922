#include "analyzer/reporting/find_duplicates.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "analyzer/reporting/operator_kinds.h"
#include "kernels/catalog.h"

namespace invact {
namespace {

/// Operators between a storage and the saved ones that it is computed from.
constexpr size_t kMaxOperatorsBetween = 16;

class DuplicateFinder {
 public:
  explicit DuplicateFinder(const Report& report) : report_(report) {
    for (const StorageRow& row : report.storages) rows_.emplace(row.id.value, &row);
    for (const OperatorCall& call : report.calls) add_flow(call);
  }

  std::vector<Duplicate> find() {
    for (const SavedTensor& saved : report_.saved) add_inversions(saved);
    for (const StorageRow& row : report_.storages) add_derivations(row);
    return choose();
  }

 private:
  static bool contains(const std::vector<StorageId>& ids, StorageId id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  void add_flow(const OperatorCall& call) {
    for (const StorageId output : call.outputs) {
      if (is_in_place(call.op)) {
        last_write_[output.value] = call.id.value;
        written_in_place_.insert(output.value);
      } else if (!contains(call.inputs, output)) {
        // A copy within an operator comes later than the operator, and says more.
        producers_[output.value] = &call;
      }
    }
  }

  bool is_saved(StorageId id) const { return rows_.contains(id.value); }

  /// The model holds it whether autograd saves it or not.
  bool is_held_by_model(StorageId id) const {
    return report_.storage(id).role != StorageRole::kActivation;
  }

  bool in_floor(StorageId id) const { return rows_.at(id.value)->in_floor; }

  /// Whether no operator but `call` itself has written to `id` in place since `call` ran.
  bool unchanged_since(StorageId id, const OperatorCall& call) const {
    const auto found = last_write_.find(id.value);
    return found == last_write_.end() || found->second <= call.id.value;
  }

  void add(DuplicateKind kind, StorageId storage, std::vector<StorageId> carriers, CallId call,
           int64_t bytes) {
    candidates_.push_back({kind, storage, std::move(carriers), call, bytes});
  }

  /// An operator saved its input, although that can be computed from its output, which another one
  /// saves. A saved view of a larger storage (a gate and its partner in one projection) is no
  /// duplicate: the output carries a part of that storage only.
  void add_inversions(const SavedTensor& saved) {
    const OperatorCall& call = report_.call(saved.call);
    const OperatorKind kind = operator_kind(call.op);
    if (kind == OperatorKind::kDropout) return add_mask(saved, call);
    const bool activation = kernels::is_activation(call.op);
    if (!activation && kind != OperatorKind::kNorm) return;
    if (call.outputs.empty() || saved.tensor.bytes != report_.storage(saved.storage).bytes) return;
    const StorageId output = call.outputs.front();
    // In-place activations save a copy of their input; norms save statistics beside it.
    if (!activation && (call.inputs.empty() || call.inputs.front() != saved.storage)) return;
    if (saved.storage == output || !is_saved(output) || in_floor(saved.storage)) return;
    if (!unchanged_since(output, call)) return;
    add(activation ? DuplicateKind::kActivation : DuplicateKind::kNorm, saved.storage, {output},
        call.id, saved.tensor.bytes);
  }

  void add_mask(const SavedTensor& saved, const OperatorCall& call) {
    if (contains(call.inputs, saved.storage) || contains(call.outputs, saved.storage)) return;
    const int64_t bits_bytes = (saved.tensor.element_count + 7) / 8;
    const int64_t bytes = report_.storage(saved.storage).bytes - bits_bytes;
    if (bytes > 0) add(DuplicateKind::kDropout, saved.storage, {}, call.id, bytes);
  }

  void add_derivations(const StorageRow& row) {
    const auto producer = producers_.find(row.id.value);
    if (producer == producers_.end() || written_in_place_.contains(row.id.value)) return;
    const OperatorCall& call = *producer->second;
    switch (operator_kind(call.op)) {
      case OperatorKind::kCast:
        return add_copy(DuplicateKind::kCast, row, call);
      case OperatorKind::kCopy:
        return add_copy(DuplicateKind::kCopy, row, call);
      default:
        if (is_cheap(call)) add_pointwise(row, call);
    }
  }

  void add_copy(DuplicateKind kind, const StorageRow& row, const OperatorCall& call) {
    if (call.inputs.empty() || !unchanged_since(call.inputs.front(), call)) return;
    const StorageId original = call.inputs.front();
    if (is_held_by_model(original)) {
      add(kind, row.id, {}, call.id, row.bytes);
    } else if (is_saved(original)) {
      add(kind, row.id, {original}, call.id, row.bytes);
    }
  }

  /// What cheap operators make of one saved tensor belongs to a function that is written out; a
  /// product of two, and an activation that such a product saves, to a gate.
  void add_pointwise(const StorageRow& row, const OperatorCall& call) {
    if (row.in_floor) return;
    const auto roots = find_roots(call);
    if (!roots || roots->contains(row.id)) return;
    const bool product = operator_kind(call.op) == OperatorKind::kProduct;
    const bool gate = kernels::is_activation(call.op) ||
                      (product && (roots->size() > 1 || has_model_tensor(call)));
    if (roots->size() > 1 && !gate) return;
    add(gate ? DuplicateKind::kGate : DuplicateKind::kComposite, row.id,
        {roots->begin(), roots->end()}, call.id, row.bytes);
  }

  bool has_model_tensor(const OperatorCall& call) const {
    return std::any_of(call.inputs.begin(), call.inputs.end(),
                       [this](StorageId id) { return is_held_by_model(id); });
  }

  static bool is_cheap(const OperatorCall& call) {
    const OperatorKind kind = operator_kind(call.op);
    return kind == OperatorKind::kProduct || kind == OperatorKind::kPointwise ||
           kind == OperatorKind::kCast || kind == OperatorKind::kCopy ||
           kernels::is_activation(call.op);
  }

  /// The saved storages from which cheap operators make what `call` returns; none where something
  /// else is needed.
  std::optional<std::set<StorageId>> find_roots(const OperatorCall& call) const {
    std::set<StorageId> roots;
    std::vector<const OperatorCall*> between = {&call};
    for (size_t i = 0; i < between.size(); ++i) {
      for (const StorageId input : between[i]->inputs) {
        if (!unchanged_since(input, *between[i])) return std::nullopt;
        if (is_held_by_model(input)) continue;
        if (is_saved(input)) {
          roots.insert(input);
          continue;
        }
        const auto producer = producers_.find(input.value);
        if (producer == producers_.end() || written_in_place_.contains(input.value) ||
            !is_cheap(*producer->second)) {
          return std::nullopt;
        }
        if (std::find(between.begin(), between.end(), producer->second) != between.end()) continue;
        if (between.size() == kMaxOperatorsBetween) return std::nullopt;
        between.push_back(producer->second);
      }
    }
    return roots;
  }

  /// Whether `carriers` are computed from `storage`, by way of duplicates that are chosen already.
  bool depends_on(const std::vector<StorageId>& carriers, StorageId storage) const {
    std::vector<StorageId> pending = carriers;
    std::unordered_set<int64_t> seen;
    while (!pending.empty()) {
      const StorageId id = pending.back();
      pending.pop_back();
      if (id == storage) return true;
      const auto found = chosen_.find(id.value);
      if (found == chosen_.end() || !seen.insert(id.value).second) continue;
      pending.insert(pending.end(), found->second.begin(), found->second.end());
    }
    return false;
  }

  std::vector<Duplicate> choose() {
    const auto before = [](const Duplicate& a, const Duplicate& b) {
      if (a.bytes != b.bytes) return a.bytes > b.bytes;
      return a.storage != b.storage ? a.storage < b.storage : a.kind < b.kind;
    };
    std::stable_sort(candidates_.begin(), candidates_.end(), before);
    std::vector<Duplicate> duplicates;
    for (Duplicate& candidate : candidates_) {
      if (chosen_.contains(candidate.storage.value)) continue;
      if (depends_on(candidate.carriers, candidate.storage)) continue;
      chosen_.emplace(candidate.storage.value, candidate.carriers);
      duplicates.push_back(std::move(candidate));
    }
    return duplicates;
  }

  const Report& report_;
  std::unordered_map<int64_t, const StorageRow*> rows_;
  std::unordered_map<int64_t, const OperatorCall*> producers_;
  std::unordered_map<int64_t, int64_t> last_write_;
  std::unordered_set<int64_t> written_in_place_;
  std::vector<Duplicate> candidates_;
  std::unordered_map<int64_t, std::vector<StorageId>> chosen_;
};

}  // namespace

std::vector<Duplicate> find_duplicates(const Report& report) {
  return DuplicateFinder(report).find();
}

}  // namespace invact
