#include "rewriter/patterns/transposed_norm.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <utility>

#include "rewriter/graph/graph_nodes.h"
#include "rewriter/patterns/norm.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
using torch::jit::Node;
using torch::jit::Value;

struct Dimensions {
  int64_t first;
  int64_t second;
};

std::optional<Dimensions> constant_dimensions(const Node* transpose) {
  if (transpose->kind() != aten::transpose || transpose->inputs().size() != 3) return std::nullopt;
  const auto first = torch::jit::constant_as<int64_t>(transpose->input(1));
  const auto second = torch::jit::constant_as<int64_t>(transpose->input(2));
  if (!first || !second) return std::nullopt;
  return Dimensions{*first, *second};
}

/// The copy that the linear behind `norm` saves of its result; none where it saves none.
std::optional<StorageId> saved_copy(const OperatorCall& norm, const Report& report,
                                    const ObservedSavers& savers) {
  const auto reads = [&norm](const OperatorCall& call) {
    return std::find(call.inputs.begin(), call.inputs.end(), norm.output) != call.inputs.end();
  };
  const auto consumer = std::find_if(
      report.calls.begin() + norm.id.value + 1, report.calls.end(),
      [&reads](const OperatorCall& call) { return call.op == "aten::linear" && reads(call); });
  if (consumer == report.calls.end()) return std::nullopt;
  for (const StorageId saved : savers.saved_by(consumer->id)) {
    if (!std::ranges::count(consumer->inputs, saved) &&
        report.storage(saved).bytes == report.storage(*norm.output).bytes) {
      return saved;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Match> match_transposed_norm(Node* node, const MatchContext& context) {
  if (node->kind() != aten::layer_norm) return std::nullopt;
  const Node* const transpose = only_consumer(node->output());
  const auto dimensions = transpose ? constant_dimensions(transpose) : std::nullopt;
  const Node* const linear = dimensions ? only_consumer(transpose->output()) : nullptr;
  if (!linear || linear->kind() != aten::linear) return std::nullopt;
  auto match = match_norm(node, context);
  if (!match || match->refusal) return std::nullopt;
  match->listing = Listing::kWhenAccepted;
  match->replacement = "invact::layer_norm_transposed";
  for (size_t i = 0; i < node->inputs().size(); ++i)
    match->arguments.emplace_back(NodeInput{node, i});
  match->arguments.emplace_back(c10::IValue(dimensions->first));
  match->arguments.emplace_back(c10::IValue(dimensions->second));
  match->aliases.emplace_back("layer_norm_transposed");
  match->rounding =
      "A linear behind invact::layer_norm_transposed finds its input contiguous, for which "
      "LibTorch adds the bias within the product: its results round once less.";
  match->gain =
      "keeps its output, laid out as the next layer reads and keeps it, and a number per row "
      "instead of its input";
  match->saved_instead = [norm = match->saved_instead, &savers = context.savers](
                             const OperatorCall& call,
                             const Report& report) -> std::variant<SavedInstead, Rejection> {
    auto saved = norm(call, report);
    if (auto* const instead = std::get_if<SavedInstead>(&saved)) {
      instead->storage = saved_copy(call, report, savers);
      if (!instead->storage)
        return Rejection{"no_copy", "the next layer keeps no copy of its output"};
    }
    return saved;
  };
  return match;
}

}  // namespace invact
