#include "rewriter/patterns/dropout.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "kernels/catalog.h"

namespace invact {
namespace {

/// With another probability ATen saves no mask.
bool drops_some(double probability) {
  return probability > 0 && probability < 1;
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

}  // namespace invact
