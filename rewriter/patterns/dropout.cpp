#include "rewriter/patterns/dropout.h"

#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "kernels/catalog.h"
#include "rewriter/patterns/activation.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
using torch::jit::Node;

/// With another probability ATen saves no mask.
bool drops_some(double probability) {
  return probability > 0 && probability < 1;
}

std::string pair_name(const std::string& activation) {
  return fmt::format("{} + aten::dropout", activation);
}

/// The activation that makes what `dropout` alone reads; none where another code makes it.
Node* activation_before(Node* dropout, const InlinedModel& inlined) {
  torch::jit::Value* const value = dropout->input(0);
  const bool is_read_here_alone = value->uses().size() == 1;
  if (!is_read_here_alone || !inlined.same_code(*value->node(), *dropout)) return nullptr;
  return value->node();
}

/// With p = 0 or out of training ATen's dropout returns its input itself.
bool dropped_some(const OperatorCall& dropout) {
  return std::find(dropout.inputs.begin(), dropout.inputs.end(), dropout.output) ==
         dropout.inputs.end();
}

}  // namespace

std::optional<Match> match_dropout(torch::jit::Node* node) {
  const std::string op = node->kind().toQualString();
  const auto rows = kernels::dropouts();
  const auto row = std::find_if(rows.begin(), rows.end(), [&op](const kernels::Dropout& dropout) {
    return dropout.aten_op == op;
  });
  if (row == rows.end()) return std::nullopt;
  const auto p = torch::jit::toIValue(node->input(1));
  const auto train = torch::jit::toIValue(node->input(2));
  const bool keeps_no_mask = (p && p->isScalar() && !drops_some(p->toScalar().toDouble())) ||
                             (train && train->isBool() && !train->toBool());
  if (keeps_no_mask) return std::nullopt;
  Match match;
  match.op = op;
  match.aliases = {unqualified(op)};
  match.nodes = {node};
  match.replacement = row->invact_op;
  match.strategy = "closed";
  match.gradients = GradientBits::kSame;
  match.gain = "keeps a bit per element instead of a mask of numbers";
  match.saved_instead = [&dropout = *row](const OperatorCall& call,
                                          const Report&) -> std::variant<SavedInstead, Rejection> {
    if (!operator_dtype(call.output_tensor)) return other_dtype(call.output_tensor);
    return SavedInstead{std::nullopt,
                        kernels::saved_bytes(dropout, call.output_tensor.element_count)};
  };
  if (!p || !p->isScalar()) {
    match.refusal = Rejection{"parameters_unknown", "its probability is decided at run time"};
  }
  return match;
}

std::optional<Match> match_activation_dropout(Node* node, const InlinedModel& inlined) {
  if (node->kind() != aten::dropout || !inlined.origin(*node)) return std::nullopt;
  const auto dropout = match_dropout(node);
  Node* const activation = activation_before(node, inlined);
  if (!dropout || dropout->refusal || !activation) return std::nullopt;
  const auto alone = match_activation(activation);
  if (!alone || alone->refusal) return std::nullopt;
  const auto* const row = kernels::find_replacement(alone->replacement);
  const auto* const fused = row ? kernels::find_activation_dropout(*row) : nullptr;
  if (!fused) return std::nullopt;
  Match match;
  match.op = pair_name(alone->op);
  // Either's names too: a site that changes both is skipped with each.
  match.aliases = {std::string(fused->invact_op),
                   unqualified(std::string(fused->invact_op)),
                   alone->op,
                   unqualified(alone->op),
                   dropout->op,
                   unqualified(dropout->op)};
  match.nodes = {activation, node};
  match.replacement = fused->invact_op;
  match.strategy = alone->strategy;
  match.arguments = {NodeInput{activation, 0}, NodeInput{node, 1}, NodeInput{node, 2}};
  for (size_t i = 1; i < activation->inputs().size(); ++i) {
    match.arguments.emplace_back(NodeInput{activation, i});
  }
  match.saved_instead = [row](const OperatorCall& call,
                              const Report&) -> std::variant<SavedInstead, Rejection> {
    if (!operator_dtype(call.output_tensor)) return other_dtype(call.output_tensor);
    const int64_t count = call.output_tensor.element_count;
    return SavedInstead{call.output, dropped_some(call)
                                         ? kernels::dropout_and_branch_bytes(*row, count)
                                         : kernels::branch_bytes(*row, count)};
  };
  match.gain = fmt::format(
      "keeps its output, which is kept anyway, a bit per element for what was dropped{} instead of "
      "the activation's input and a mask of numbers",
      row->branch_bits_per_element > 0 ? " and branch bits" : "");
  return match;
}

bool is_activation_dropout(const std::string& name) {
  const auto rows = kernels::activation_dropouts();
  return std::any_of(rows.begin(), rows.end(), [&name](const kernels::ActivationDropout& row) {
    const std::string fused(row.invact_op);
    const std::string activation = unqualified(std::string(row.activation_op));
    return name == fused || name == unqualified(fused) || name == pair_name("aten::" + activation);
  });
}

}  // namespace invact
