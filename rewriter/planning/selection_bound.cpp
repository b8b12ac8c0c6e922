#include "rewriter/planning/selection_bound.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>

namespace invact {
namespace {

/// A set of a part's sites, by their bits.
using Sites = uint32_t;

/// What decides whether one storage is saved, by the sites of one part that are taken.
struct StorageTerm {
  int64_t bytes = 0;
  std::vector<Sites> until;  ///< For each operator that saves it today: the sites that end that.
  Sites new_savers = 0;      ///< Sites that save it.
  Sites releasers = 0;       ///< Sites that give it back.

  bool is_saved(Sites taken) const {
    if (releasers & taken) return false;
    return (new_savers & taken) ||
           std::ranges::any_of(until, [taken](Sites enders) { return (enders & taken) == 0; });
  }
};

/// A group of sites, cut into parts of neighbors.
class Group {
 public:
  explicit Group(const AlternativeGroup& sites) : sites_(sites) {
    for (size_t i = 0; i < sites.size(); ++i) {
      for (const Execution& execution : sites[i].executions) {
        for (const CallId call : execution.calls) enders_[call.value].push_back(i);
        for (const StorageId storage : execution.saved_inputs)
          new_savers_[storage.value].push_back(i);
        if (execution.saved_storage) new_savers_[execution.saved_storage->value].push_back(i);
        if (execution.released_storage) releasers_[execution.released_storage->value].push_back(i);
      }
    }
  }

  /// The fewest bytes of the storages that these sites touch and of what they save of their own.
  /// Adds to `today` the bytes of those storages that are saved now.
  int64_t fewest_bytes(const Report& report, const ObservedSavers& observed, int64_t& today) const {
    std::vector<std::vector<StorageTerm>> terms(part_of(sites_.size() - 1) + 1);
    for (const int64_t value : touched(observed)) {
      const Storage& storage = report.storage({value});
      if (storage.role != StorageRole::kActivation) continue;  // In memory whether saved or not.
      const std::vector<CallId> savers = observed.other_savers(storage.id, {});
      if (!savers.empty()) today += storage.bytes;
      const size_t part = home_of(value, savers);
      auto term = term_of(storage, savers, part);
      if (term) terms[part].push_back(std::move(*term));
    }
    int64_t bytes = 0;
    for (size_t part = 0; part < terms.size(); ++part) bytes += fewest_of(part, terms[part]);
    return bytes;
  }

 private:
  using SiteLists = std::unordered_map<int64_t, std::vector<size_t>>;

  static size_t part_of(size_t site) { return site / kMaxTried; }

  static const std::vector<size_t>& at(const SiteLists& lists, int64_t key) {
    static const std::vector<size_t> none;
    const auto found = lists.find(key);
    return found == lists.end() ? none : found->second;
  }

  std::set<int64_t> touched(const ObservedSavers& observed) const {
    std::set<int64_t> storages;
    for (const auto& [storage, sites] : new_savers_) storages.insert(storage);
    for (const auto& [storage, sites] : releasers_) storages.insert(storage);
    for (const auto& [call, sites] : enders_) {
      for (const StorageId storage : observed.saved_by({call})) storages.insert(storage.value);
    }
    return storages;
  }

  /// The part most of whose sites touch the storage.
  size_t home_of(int64_t storage, const std::vector<CallId>& savers) const {
    std::vector<size_t> counts(part_of(sites_.size() - 1) + 1);
    const auto count = [&counts](const std::vector<size_t>& sites) {
      for (const size_t site : sites) ++counts[part_of(site)];
    };
    count(at(new_savers_, storage));
    count(at(releasers_, storage));
    for (const CallId call : savers) count(at(enders_, call.value));
    return static_cast<size_t>(std::ranges::max_element(counts) - counts.begin());
  }

  struct Chosen {
    Sites here = 0;
    bool elsewhere = false;  ///< Some belong to other parts.
  };

  static Chosen within(const std::vector<size_t>& sites, size_t part) {
    Chosen chosen;
    for (const size_t site : sites) {
      if (part_of(site) == part) {
        chosen.here |= Sites{1} << (site % kMaxTried);
      } else {
        chosen.elsewhere = true;
      }
    }
    return chosen;
  }

  /// None where another part may give the storage back.
  std::optional<StorageTerm> term_of(const Storage& storage, const std::vector<CallId>& savers,
                                     size_t part) const {
    StorageTerm term;
    term.bytes = storage.bytes;
    const Chosen releasers = within(at(releasers_, storage.id.value), part);
    if (releasers.elsewhere) return std::nullopt;
    term.releasers = releasers.here;
    term.new_savers = within(at(new_savers_, storage.id.value), part).here;
    for (const CallId call : savers) {
      const Chosen enders = within(at(enders_, call.value), part);
      if (!enders.elsewhere) term.until.push_back(enders.here);
    }
    return term;
  }

  int64_t fewest_of(size_t part, const std::vector<StorageTerm>& terms) const {
    const size_t first = part * kMaxTried;
    const size_t count = std::min(kMaxTried, sites_.size() - first);
    std::vector<Sites> rivals(count);
    std::vector<int64_t> own_bytes(count);
    for (size_t i = 0; i < count; ++i) {
      rivals[i] = within(sites_[first + i].rivals, part).here;
      for (const Execution& execution : sites_[first + i].executions) {
        own_bytes[i] += execution.own_bytes;
      }
    }
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (Sites taken = 0; taken < Sites{1} << count; ++taken) {
      int64_t bytes = 0;
      bool is_possible = true;
      for (size_t i = 0; i < count; ++i) {
        if (!(taken >> i & 1)) continue;
        bytes += own_bytes[i];
        is_possible &= (rivals[i] & taken) == 0;
      }
      if (!is_possible) continue;
      for (const StorageTerm& term : terms) {
        if (term.is_saved(taken)) bytes += term.bytes;
      }
      fewest = std::min(fewest, bytes);
    }
    return fewest;
  }

  const AlternativeGroup& sites_;
  SiteLists enders_;      ///< By call: the sites that take its place.
  SiteLists new_savers_;  ///< By storage.
  SiteLists releasers_;   ///< By storage.
};

}  // namespace

int64_t fewest_bytes(const Report& report, const ObservedSavers& observed,
                     const std::vector<AlternativeGroup>& groups) {
  int64_t today = 0;
  int64_t fewest = 0;
  for (const AlternativeGroup& sites : groups) {
    fewest += Group(sites).fewest_bytes(report, observed, today);
  }
  return report.totals.saved_bytes - today + fewest;
}

}  // namespace invact
