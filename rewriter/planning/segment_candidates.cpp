#include "rewriter/planning/segment_candidates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "rewriter/graph/observed_graph.h"
#include "rewriter/graph/operator_roles.h"
#include "rewriter/recompute/segments.h"

namespace invact {
namespace {

using torch::jit::Node;

/// One region of the model's own code, in one module instance.
using RegionKey =
    std::tuple<const c10::ivalue::Object*, std::string, std::vector<std::vector<int64_t>>>;

/// A place that reads a result; whether it is the last one must be the same in every run of it.
using ReaderKey = std::tuple<const c10::ivalue::Object*, std::string, std::vector<int64_t>, int64_t,
                             int64_t, int64_t>;

/// A result that is read at some place.
struct ReadResult {
  size_t candidate;
  bool last;
  bool copies;
};

/// "batch_norm, silu": what the chain computes, without views.
std::string operators_of(const Region& region) {
  std::vector<std::string> names;
  for (const Node* const node : region.nodes) {
    const ChainRole role = chain_role(node);
    if (role != ChainRole::kCompute && role != ChainRole::kWrite) continue;
    std::string name = unqualified(node->kind().toQualString());
    while (name.ends_with('_')) name.pop_back();
    if (std::ranges::count(names, name) == 0) names.push_back(name);
  }
  if (chain_role(region.output()) == ChainRole::kView) names.emplace_back("contiguous");
  return fmt::format("{}", fmt::join(names, ", "));
}

class RegionCandidates {
 public:
  RegionCandidates(const Report& report, const Prediction& prediction, const InlinedModel& inlined)
      : report_(report),
        prediction_(prediction),
        inlined_(inlined),
        observed_(inlined, report, prediction) {
    count_calls();
  }

  std::vector<Candidate> find() {
    for (const Region& region : find_regions(inlined_, observed_)) add(region);
    keep_agreeing_readers();
    std::vector<Candidate> candidates;
    for (Candidate& candidate : candidates_) {
      if (candidate.open && runs_always(candidate)) candidates.push_back(std::move(candidate));
    }
    return candidates;
  }

 private:
  /// Those that a branch never takes have no nodes left.
  void count_calls() {
    std::set<int64_t> running;
    for (Node* const node : inlined_.nodes()) {
      const NodeOrigin* const origin = inlined_.origin(*node);
      if (origin && node->kind() == torch::jit::aten::linear)
        ++linear_runs_[key_of({node, {node, 0}})];
      int64_t call = origin ? origin->call : -1;
      while (call >= 0 && running.insert(call).second) call = inlined_.call(call).caller;
    }
    for (const int64_t number : running) {
      const CodeCall& call = inlined_.call(number);
      if (call.kind != CodeCall::Kind::kMethod) continue;
      ++call_counts_[{call.code.instance, call.code.method}];
    }
  }

  void add(const Region& region) {
    const int64_t home = *inlined_.common_method_call(region.nodes);
    auto execution = execution_of(region);
    const NodeOrigin& code = inlined_.call(home).code;
    const SiteLocation location = location_of(region, home);
    const auto [found, fresh] =
        index_of_.try_emplace({code.instance, code.method, location.chain}, candidates_.size());
    if (fresh) candidates_.push_back(candidate_of(region, location));
    Candidate& candidate = candidates_[found->second];
    if (!execution) {
      candidate.open = false;
      return;
    }
    candidate.site.module_paths.push_back(code.module_path);
    if (!fresh) {
      candidate.graph_site.copies.push_back(match_of(region));
      candidate.graph_site.copies.front().is_exact &= region.keeps_order;
      if (location.readers != candidate.site.location.readers) disagreeing_.insert(found->second);
    }
    note_readers(region, found->second);
    candidate.executions.push_back(std::move(*execution));
  }

  Candidate candidate_of(const Region& region, SiteLocation location) const {
    GraphSite graph_site;
    graph_site.location = std::move(location);
    for (const Node* const node : region.nodes) {
      const NodeOrigin& origin = *inlined_.origin(*node);
      graph_site.nodes.push_back(
          {node->kind().toQualString(), origin.frames, origin.module_path, origin.method});
    }
    graph_site.copies = {match_of(region)};
    Candidate candidate = make_candidate(std::move(graph_site));
    Site& site = candidate.site;
    site.id = fmt::format("{}/{}#{}~recompute", site.location.module_path, site.location.method,
                          fmt::join(site.location.chain.back(), "."));
    site.source = observed_.call(region.output())->source;
    candidate.executed = candidate.has_delta = true;
    return candidate;
  }

  Match match_of(const Region& region) const {
    Match match;
    match.op = operators_of(region);
    match.aliases = {"recompute"};
    match.nodes = region.nodes;
    match.inputs = region.inputs;
    match.replacement = "invact::recompute";
    match.strategy = "recompute";
    match.is_exact = region.keeps_order;
    match.gain = region.readers.empty()
                     ? "runs again in backward; only what feeds it is kept"
                     : "runs again in backward; what feeds it is kept, its result given back";
    return match;
  }

  SiteLocation location_of(const Region& region, int64_t home) const {
    const CodeCall& call = inlined_.call(home);
    SiteLocation location;
    location.module_path = call.code.module_path;
    location.method = call.code.method;
    location.graph_fingerprint = call.fingerprint;
    std::set<int64_t> calls;
    for (const Node* const node : region.nodes) {
      location.chain.push_back(inlined_.path_from(home, *node));
      for (int64_t inner = inlined_.origin(*node)->call; inner != home;
           inner = inlined_.call(inner).caller) {
        if (calls.insert(inner).second)
          location.graph_fingerprint += inlined_.call(inner).fingerprint;
      }
    }
    location.node_index = location.chain.back().back();
    location.readers = readers_of(region);
    return location;
  }

  std::vector<SiteReader> readers_of(const Region& region) const {
    std::vector<SiteReader> readers;
    for (const RegionReader& reader : region.readers) {
      const NodeOrigin& origin = *inlined_.origin(*reader.node);
      SiteReader place;
      place.module_path = origin.module_path;
      place.method = origin.method;
      place.function_calls = origin.function_calls;
      place.node_index = origin.node_index;
      place.tensor_node = inlined_.origin(*reader.tensor.node)->node_index;
      place.tensor_position = static_cast<int64_t>(reader.tensor.position);
      place.saves = reader.saves;
      place.copies = reader.copies;
      place.last = &reader == &region.readers.back();
      place.graph_fingerprint = origin.fingerprint;
      readers.push_back(std::move(place));
    }
    return readers;
  }

  ReaderKey key_of(const RegionReader& reader) const {
    const NodeOrigin& origin = *inlined_.origin(*reader.node);
    return {origin.instance,
            origin.method,
            origin.function_calls,
            origin.node_index,
            inlined_.origin(*reader.tensor.node)->node_index,
            static_cast<int64_t>(reader.tensor.position)};
  }

  void note_readers(const Region& region, size_t candidate) {
    for (const RegionReader& reader : region.readers) {
      const bool last = &reader == &region.readers.back();
      readers_[key_of(reader)].push_back({candidate, last, reader.copies});
    }
  }

  /// A place where one result is read last and another one is not, or which reads one twice, cannot
  /// tell when to give the memory back; a linear that copies in some of its runs only cannot be
  /// rewritten.
  void keep_agreeing_readers() {
    for (const auto& [key, users] : readers_) {
      const ReadResult& first = users.front();
      const bool agree = std::ranges::all_of(users, [&first](const ReadResult& user) {
        return user.last == first.last && user.copies == first.copies;
      });
      if (agree && (!first.copies || linear_runs_.at(key) == users.size())) continue;
      for (const ReadResult& user : users) disagreeing_.insert(user.candidate);
    }
    for (const size_t index : disagreeing_) {
      Candidate& candidate = candidates_[index];
      auto& readers = candidate.site.location.readers;
      if (std::ranges::any_of(readers, &SiteReader::copies)) candidate.open = false;
      readers.clear();
      for (Execution& execution : candidate.executions) execution.releases.reset();
    }
  }

  /// Whether every call of the code runs it as a region: one that was decided otherwise, or could
  /// not be observed, would be changed as well.
  bool runs_always(const Candidate& candidate) const {
    const int64_t home = *inlined_.common_method_call(candidate.graph_site.match().nodes);
    const NodeOrigin& code = inlined_.call(home).code;
    return call_counts_.at({code.instance, code.method}) == candidate.executions.size();
  }

  /// What a batch norm keeps of statistics: those of its batch, as it does today on the CPU, or
  /// where it did not train a copy of the running ones.
  int64_t statistics_bytes(const Node* node, const OperatorCall& call) const {
    if (node->kind() != torch::jit::aten::batch_norm) return 0;
    const auto training = torch::jit::toIValue(node->input(5));
    const bool trains = training ? training->toBool() : report_.run.mode == "train";
    int64_t bytes = 0;
    if (trains) {
      if (report_.run.device != "cpu") return 0;
      for (const StorageId storage : prediction_.kept_by(call.id)) {
        if (std::ranges::count(call.inputs, storage) == 0) bytes += report_.storage(storage).bytes;
      }
      return bytes;
    }
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      if (!is_statistic(node, i)) continue;
      if (const auto storage = observed_.storage(node->input(i))) {
        bytes += report_.storage(*storage).bytes;
      }
    }
    return bytes;
  }

  /// None where the step does not tell all that this run keeps, or it keeps nothing.
  std::optional<Execution> execution_of(const Region& region) const {
    Execution execution;
    bool saves = false;
    for (const Node* const node : region.nodes) {
      if (chain_role(node) == ChainRole::kList) continue;
      const OperatorCall& call = *observed_.call(node);
      execution.calls.push_back(call.id);
      saves |= prediction_.saves(call.id);
      if (draws_dropout(node)) execution.bytes += (call.output_tensor.element_count + 7) / 8;
      execution.bytes += statistics_bytes(node, call);
    }
    const auto& result = region.result;
    if (!result) return std::nullopt;
    for (const torch::jit::Value* const input : region.inputs) {
      const auto storage = observed_.storage(input);
      if (!storage || *storage == *result) return std::nullopt;
      // Parameters are there whether they are kept or not.
      if (report_.storage(*storage).role == StorageRole::kActivation) {
        execution.inputs.push_back(*storage);
      }
    }
    const bool needs_gradient =
        saves || std::ranges::any_of(region.readers, [&](const auto& reader) {
          const OperatorCall& call = *observed_.call(reader.node);
          const bool reads_first = !call.inputs.empty() && call.inputs.front() == *result;
          return call.input_requires_grad && (reads_first || reader.copies);
        });
    if (!needs_gradient) return std::nullopt;
    if (!region.readers.empty()) execution.releases = result;
    const bool is_kept = !prediction_.other_savers(*result, execution.calls).empty();
    return saves || (is_kept && execution.releases) ? std::optional(execution) : std::nullopt;
  }

  const Report& report_;
  const Prediction& prediction_;
  const InlinedModel& inlined_;
  const ObservedGraph observed_;
  /// How often each method of each instance is called.
  std::map<std::pair<const c10::ivalue::Object*, std::string>, size_t> call_counts_;
  std::vector<Candidate> candidates_;
  std::map<RegionKey, size_t> index_of_;
  std::map<ReaderKey, std::vector<ReadResult>> readers_;
  std::map<ReaderKey, size_t> linear_runs_;
  std::set<size_t> disagreeing_;
};

}  // namespace

std::vector<Candidate> find_region_candidates(const Report& report, const Prediction& prediction,
                                              const InlinedModel& inlined) {
  return RegionCandidates(report, prediction, inlined).find();
}

}  // namespace invact
