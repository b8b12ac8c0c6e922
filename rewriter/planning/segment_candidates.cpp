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

/// One segment of the model's own code, in one module instance.
using SegmentKey =
    std::tuple<const c10::ivalue::Object*, std::string, std::vector<std::vector<int64_t>>>;

/// A place that reads results: the code of its consumer, the consumer's node there, and the node
/// and input that name the tensor.
using ConsumerKey = std::tuple<const c10::ivalue::Object*, std::string, std::vector<int64_t>,
                               int64_t, int64_t, int64_t>;

/// A candidate's result that is read at some place.
struct ReadResult {
  size_t candidate;
  bool is_last;
  bool is_copied;
};

/// "batch_norm, silu": what the segment computes, without views.
std::string operators_of(const Segment& segment) {
  std::vector<std::string> names;
  for (const Node* const node : segment.nodes) {
    const OperatorRole role = operator_role(node);
    if (role != OperatorRole::kCompute && role != OperatorRole::kWrite) continue;
    std::string name = unqualified(node->kind().toQualString());
    while (name.ends_with('_')) name.pop_back();
    if (std::ranges::count(names, name) == 0) names.push_back(name);
  }
  if (operator_role(segment.output()) == OperatorRole::kView) names.emplace_back("contiguous");
  return fmt::format("{}", fmt::join(names, ", "));
}

class SegmentCandidates {
 public:
  SegmentCandidates(const Report& report, const ObservedSavers& savers, const InlinedModel& inlined)
      : report_(report), savers_(savers), inlined_(inlined), observed_(inlined, report, savers) {
    count_calls();
  }

  std::vector<Candidate> find() {
    for (const Segment& segment : find_segments(inlined_, observed_)) add(segment);
    drop_disagreeing_consumers();
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (!unusable_.contains(i) && runs_always(candidates_[i])) {
        candidates.push_back(std::move(candidates_[i]));
      }
    }
    return candidates;
  }

 private:
  /// Counts the calls of each method, without those in branches that are never taken: they have no
  /// nodes left.
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

  void add(const Segment& segment) {
    const int64_t home = *inlined_.common_method_call(segment.nodes);
    const NodeOrigin& code = inlined_.call(home).code;
    Recompute edit = edit_of(segment, home);
    const auto [found, fresh] =
        index_of_.try_emplace({code.instance, code.method, edit.nodes}, candidates_.size());
    const size_t index = found->second;
    if (fresh) candidates_.push_back(candidate_of(segment, home, edit));
    Candidate& candidate = candidates_[index];
    auto execution = execution_of(segment);
    if (!execution) {
      unusable_.insert(index);
      return;
    }
    candidate.site.module_paths.push_back(code.module_path);
    if (!fresh) {
      candidate.copies.push_back(match_of(segment));
      if (segment.gradients == GradientBits::kRounded) {
        candidate.copies.front().gradients = GradientBits::kRounded;
      }
      if (edit.consumers != edit_of(candidate).consumers) disagreeing_.insert(index);
    }
    note_consumers(segment, index);
    ++candidate.run_count;
    candidate.runs.push_back({execution->calls, observed_.call(segment.output())->id});
    candidate.executions.push_back(std::move(*execution));
  }

  static Recompute& edit_of(Candidate& candidate) {
    return std::get<Recompute>(candidate.site.edit);
  }

  Candidate candidate_of(const Segment& segment, int64_t home, Recompute edit) const {
    GraphSite graph_site;
    graph_site.place = place_of(segment, home);
    for (const Node* const node : segment.nodes) {
      const NodeOrigin& origin = *inlined_.origin(*node);
      graph_site.nodes.push_back(
          {node->kind().toQualString(), origin.frames, origin.module_path, origin.method});
    }
    graph_site.copies = {match_of(segment)};
    Candidate candidate = make_candidate(std::move(graph_site));
    Site& site = candidate.site;
    site.id = fmt::format("{}/{}#{}~recompute", site.place.module_path, site.place.method,
                          fmt::join(edit.nodes.back(), "."));
    site.edit = std::move(edit);
    site.source = observed_.call(segment.output())->source;
    return candidate;
  }

  Match match_of(const Segment& segment) const {
    Match match;
    match.op = operators_of(segment);
    match.aliases = {"recompute"};
    match.nodes = segment.nodes;
    match.inputs = segment.inputs;
    match.strategy = "recompute";
    match.gradients = segment.gradients;
    match.listing = Listing::kWhenAccepted;
    match.required_eighths = 1;
    match.gain = segment.consumers.empty()
                     ? "runs again in backward; only what feeds it is kept"
                     : "runs again in backward; what feeds it is kept, its result given back";
    return match;
  }

  /// The place of the segment's last node, with the fingerprints of all code that it reaches into.
  CodePlace place_of(const Segment& segment, int64_t home) const {
    const CodeCall& call = inlined_.call(home);
    CodePlace place;
    place.module_path = call.code.module_path;
    place.method = call.code.method;
    place.node_index = inlined_.path_from(home, *segment.output()).back();
    place.graph_fingerprint = call.fingerprint;
    std::set<int64_t> calls;
    for (const Node* const node : segment.nodes) {
      for (int64_t inner = inlined_.origin(*node)->call; inner != home;
           inner = inlined_.call(inner).caller) {
        if (calls.insert(inner).second) place.graph_fingerprint += inlined_.call(inner).fingerprint;
      }
    }
    return place;
  }

  Recompute edit_of(const Segment& segment, int64_t home) const {
    Recompute edit;
    for (const Node* const node : segment.nodes) {
      edit.nodes.push_back(inlined_.path_from(home, *node));
    }
    for (const SegmentConsumer& consumer : segment.consumers) {
      const NodeOrigin& origin = *inlined_.origin(*consumer.node);
      Consumer reader;
      reader.place = {origin.module_path, {},
                      origin.method,      origin.function_calls,
                      origin.node_index,  origin.fingerprint};
      reader.tensor_node = inlined_.origin(*consumer.tensor.node)->node_index;
      reader.tensor_position = static_cast<int64_t>(consumer.tensor.position);
      reader.use = consumer.use;
      reader.is_last = &consumer == &segment.consumers.back();
      edit.consumers.push_back(std::move(reader));
    }
    return edit;
  }

  ConsumerKey key_of(const SegmentConsumer& consumer) const {
    const NodeOrigin& origin = *inlined_.origin(*consumer.node);
    return {origin.instance,
            origin.method,
            origin.function_calls,
            origin.node_index,
            inlined_.origin(*consumer.tensor.node)->node_index,
            static_cast<int64_t>(consumer.tensor.position)};
  }

  void note_consumers(const Segment& segment, size_t candidate) {
    for (const SegmentConsumer& consumer : segment.consumers) {
      results_read_[key_of(consumer)].push_back({candidate, &consumer == &segment.consumers.back(),
                                                 consumer.use == Consumer::Use::kCopies});
    }
  }

  /// A place that reads one result last and another one not, or that reads one twice, leaves open
  /// when to give the memory back. A linear that copies in some of its runs only cannot be
  /// rewritten. Neither result is then given back.
  void drop_disagreeing_consumers() {
    for (const auto& [key, results] : results_read_) {
      const ReadResult& first = results.front();
      const bool agree = std::ranges::all_of(results, [&first](const ReadResult& result) {
        return result.is_last == first.is_last && result.is_copied == first.is_copied;
      });
      if (agree && (!first.is_copied || linear_runs_.at(key) == results.size())) continue;
      for (const ReadResult& result : results) disagreeing_.insert(result.candidate);
    }
    for (const size_t index : disagreeing_) {
      auto& consumers = edit_of(candidates_[index]).consumers;
      const bool is_copied = std::ranges::any_of(consumers, [](const Consumer& consumer) {
        return consumer.use == Consumer::Use::kCopies;
      });
      if (is_copied) unusable_.insert(index);
      consumers.clear();
      for (Execution& execution : candidates_[index].executions) {
        execution.released_storage.reset();
      }
    }
  }

  /// Whether every call of the code runs it as a segment: one that was decided otherwise, or could
  /// not be observed, would be changed as well.
  bool runs_always(const Candidate& candidate) const {
    const int64_t home = *inlined_.common_method_call(candidate.match().nodes);
    const NodeOrigin& code = inlined_.call(home).code;
    return call_counts_.at({code.instance, code.method}) == candidate.executions.size();
  }

  /// The bytes of the statistics that a batch norm saves: on the CPU those of its batch, as the
  /// original does; where it did not train, a copy of the running ones.
  int64_t statistics_bytes(const Node* node, const OperatorCall& call) const {
    if (node->kind() != torch::jit::aten::batch_norm) return 0;
    const auto training = torch::jit::toIValue(node->input(5));
    const bool trains = training ? training->toBool() : report_.run.mode == "train";
    int64_t bytes = 0;
    if (trains) {
      if (report_.run.device != "cpu") return 0;
      for (const StorageId storage : savers_.saved_by(call.id)) {
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

  /// None where the step does not show all that this run saves, or where it saves nothing.
  std::optional<Execution> execution_of(const Segment& segment) const {
    Execution execution;
    bool saves = false;
    for (const Node* const node : segment.nodes) {
      if (operator_role(node) == OperatorRole::kList) continue;
      const OperatorCall& call = *observed_.call(node);
      execution.calls.push_back(call.id);
      saves |= savers_.saves(call.id);
      if (draws_dropout(node)) execution.own_bytes += (call.output_tensor.element_count + 7) / 8;
      execution.own_bytes += statistics_bytes(node, call);
    }
    const auto& result = segment.result;
    if (!result) return std::nullopt;
    for (const torch::jit::Value* const input : segment.inputs) {
      const auto storage = observed_.storage(input);
      if (!storage || *storage == *result) return std::nullopt;
      // Parameters are in memory whether they are saved or not.
      if (report_.storage(*storage).role == StorageRole::kActivation) {
        execution.saved_inputs.push_back(*storage);
      }
    }
    const bool needs_gradient =
        saves || std::ranges::any_of(segment.consumers, [&](const auto& consumer) {
          const OperatorCall& call = *observed_.call(consumer.node);
          const bool reads_first = !call.inputs.empty() && call.inputs.front() == *result;
          return call.input_requires_grad &&
                 (reads_first || consumer.use == Consumer::Use::kCopies);
        });
    if (!needs_gradient) return std::nullopt;
    if (!segment.consumers.empty()) execution.released_storage = result;
    const bool is_saved = !savers_.other_savers(*result, execution.calls).empty();
    return saves || (is_saved && execution.released_storage) ? std::optional(execution)
                                                             : std::nullopt;
  }

  const Report& report_;
  const ObservedSavers& savers_;
  const InlinedModel& inlined_;
  const ObservedGraph observed_;
  /// How often each method of each instance is called.
  std::map<std::pair<const c10::ivalue::Object*, std::string>, size_t> call_counts_;
  std::vector<Candidate> candidates_;
  std::map<SegmentKey, size_t> index_of_;
  std::map<ConsumerKey, std::vector<ReadResult>> results_read_;
  std::map<ConsumerKey, size_t> linear_runs_;
  std::set<size_t> disagreeing_;  ///< Candidates whose consumers do not agree, by index.
  std::set<size_t> unusable_;     ///< Candidates that cannot be run again in each of their runs.
};

}  // namespace

std::vector<Candidate> find_segment_candidates(const Report& report, const ObservedSavers& savers,
                                               const InlinedModel& inlined) {
  return SegmentCandidates(report, savers, inlined).find();
}

}  // namespace invact
