#include "rewriter/patterns/graph_sites.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "analyzer/model/model.h"
#include "analyzer/model/module_paths.h"
#include "kernels/catalog.h"
#include "rewriter/patterns/activation.h"
#include "rewriter/patterns/batch_norm.h"
#include "rewriter/patterns/dropout.h"
#include "rewriter/patterns/norm.h"
#include "rewriter/patterns/rms_norm.h"
#include "rewriter/patterns/transposed_norm.h"
#include "rewriter/patterns/written_out.h"

namespace invact {
namespace {

using torch::jit::Node;

/// One node of the model's own code, in one module instance.
using CodeKey = std::tuple<const c10::ivalue::Object*, std::string, std::vector<int64_t>, int64_t>;

CodeKey key_of(const NodeOrigin& origin) {
  return {origin.instance, origin.method, origin.function_calls, origin.node_index};
}

std::optional<Match> match_node(Node* node, const MatchContext& context) {
  if (auto match = match_activation(node)) return match;
  if (auto match = match_norm(node, context)) return match;
  if (auto match = match_batch_norm(node, context)) return match;
  return match_dropout(node);
}

/// Every match, by the node that makes its output; of two patterns of several nodes that overlap,
/// the one that ends later.
std::vector<Match> find_matches(const InlinedModel& inlined, const MatchContext& context) {
  WrittenOutActivations written_out(inlined);
  std::vector<Match> matches;
  std::unordered_set<const Node*> taken;
  const auto& nodes = inlined.nodes();
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (auto match = match_node(*node, context)) matches.push_back(std::move(*match));
    if (auto refined = match_transposed_norm(*node, context)) {
      matches.push_back(std::move(*refined));
    }
    auto larger = match_rms_norm(*node, inlined, context);
    if (!larger) larger = match_activation_dropout(*node, inlined);
    if (!larger) larger = written_out.match(*node);
    const auto is_taken = [&taken](const Node* member) { return taken.contains(member); };
    if (!larger || std::any_of(larger->nodes.begin(), larger->nodes.end(), is_taken)) continue;
    taken.insert(larger->nodes.begin(), larger->nodes.end());
    matches.push_back(std::move(*larger));
  }
  std::reverse(matches.begin(), matches.end());
  return matches;
}

PatternArgument pattern_argument(const MatchArgument& argument, const InlinedModel& inlined) {
  const auto place = [&inlined](const NodeInput& input, PatternArgument::Kind kind) {
    return PatternArgument{
        kind, inlined.origin(*input.node)->node_index, static_cast<int64_t>(input.position), {}};
  };
  if (const auto* const input = std::get_if<NodeInput>(&argument)) {
    return place(*input, PatternArgument::Kind::kValue);
  }
  if (const auto* const dtype = std::get_if<DtypeOf>(&argument)) {
    return place(dtype->tensor, PatternArgument::Kind::kDtype);
  }
  const auto& value = std::get<c10::IValue>(argument);
  PatternArgument constant;
  constant.kind = PatternArgument::Kind::kConstant;
  if (value.isBool()) constant.constant = value.toBool();
  if (value.isInt()) constant.constant = value.toInt();
  if (value.isDouble()) constant.constant = value.toDouble();
  if (value.isString()) constant.constant = value.toStringRef();
  if (value.isIntList()) constant.constant = value.toIntVector();
  return constant;
}

Edit edit_of(const Match& match, const InlinedModel& inlined) {
  if (!match.has_arguments()) return RenameOperator{match.replacement};
  ReplacePattern pattern;
  pattern.replacement = match.replacement;
  for (const Node* const node : match.nodes) {
    pattern.nodes.push_back(inlined.origin(*node)->node_index);
  }
  for (const MatchArgument& argument : match.arguments) {
    pattern.arguments.push_back(pattern_argument(argument, inlined));
  }
  return pattern;
}

GraphSite make_site(const NodeOrigin& origin, const Match& match, const InlinedModel& inlined,
                    const torch::jit::Module& top) {
  GraphSite site;
  const auto module = find_submodule(top, origin.module_path);
  site.place = {origin.module_path, module ? class_name(*module) : "",
                origin.method,      origin.function_calls,
                origin.node_index,  origin.fingerprint};
  site.edit = edit_of(match, inlined);
  for (const Node* const node : match.nodes) {
    site.nodes.push_back({node->kind().toQualString(), inlined.origin(*node)->frames});
  }
  site.function = origin.function;
  return site;
}

/// One site runs with whatever arguments its calls give it: what differs between them is as good as
/// decided at run time.
void join_call(const Match& call, Match& first) {
  const bool same_refusal = call.refusal.has_value() == first.refusal.has_value() &&
                            (!call.refusal || call.refusal->code == first.refusal->code);
  if (call.replacement == first.replacement && same_refusal) return;
  first.refusal =
      Rejection{"parameters_unknown", "a parameter of " + first.op + " differs between its calls"};
}

}  // namespace

std::vector<GraphSite> find_graph_sites(const InlinedModel& inlined, const MatchContext& context) {
  std::map<CodeKey, size_t> calls_of;  // how often each node of the model's code stands inlined
  for (const Node* const node : inlined.nodes()) {
    if (const NodeOrigin* const origin = inlined.origin(*node)) ++calls_of[key_of(*origin)];
  }
  std::map<std::pair<CodeKey, std::string>, size_t> index_of;
  std::vector<GraphSite> sites;
  for (const Match& match : find_matches(inlined, context)) {
    const NodeOrigin* const origin = inlined.origin(*match.output());
    if (!origin) continue;
    const auto [found, fresh] = index_of.try_emplace(
        {key_of(*origin), match.op + (match.listing == Listing::kWhenAccepted ? "+" : "")},
        sites.size());
    if (fresh) sites.push_back(make_site(*origin, match, inlined, context.top));
    GraphSite& site = sites[found->second];
    if (!fresh) join_call(match, site.copies.front());
    site.module_paths.insert(origin->module_path);
    site.copies.push_back(match);
  }
  for (GraphSite& site : sites) {
    Match& match = site.copies.front();
    const auto calls = calls_of.at(key_of(*inlined.origin(*match.output())));
    if (match.has_arguments() && site.copies.size() != calls) {
      match.refusal =
          Rejection{"parameters_unknown", "is a " + match.op + " in some of its calls only"};
    }
  }
  return sites;
}

bool is_replaceable(const std::string& op) {
  const auto is_row = [&op](const auto& row) { return row.aten_op == op; };
  return kernels::is_activation(op) || std::ranges::any_of(kernels::norms(), is_row) ||
         std::ranges::any_of(kernels::dropouts(), is_row);
}

bool is_known_operator(const std::string& name) {
  const auto is_row = [&name](const auto& row) {
    const std::string op(row.aten_op);
    const std::string written = unqualified(std::string(row.invact_op));
    return name == op || name == unqualified(op) || name == written ||
           name == "written-out " + written;
  };
  if (name == "recompute" || name == "layer_norm_transposed" || is_activation_dropout(name))
    return true;
  return !name.empty() && (std::ranges::any_of(kernels::activations(), is_row) ||
                           std::ranges::any_of(kernels::written_out_activations(), is_row) ||
                           std::ranges::any_of(kernels::norms(), is_row) ||
                           std::ranges::any_of(kernels::dropouts(), is_row));
}

}  // namespace invact
