#include "rewriter/patterns/batch_norm.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "rewriter/patterns/norm.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
using torch::jit::Node;

/// A number per channel. On the CPU its dtype depends on input and weight: of the two statistics
/// that ATen saves, one is left.
int64_t channel_bytes(const OperatorCall& call, const Report& report,
                      const ObservedSavers& savers) {
  if (report.run.device != "cpu") {
    const int64_t channels = call.output_tensor.shape.size() > 1 ? call.output_tensor.shape[1] : 0;
    const bool is_double = call.output_tensor.dtype == "float64";
    return channels * static_cast<int64_t>(is_double ? sizeof(double) : sizeof(float));
  }
  int64_t bytes = 0;
  for (const StorageId saved : savers.saved_by(call.id)) {
    if (std::ranges::count(call.inputs, saved) == 0) bytes += report.storage(saved).bytes;
  }
  return bytes / 2;
}

/// The one number per channel that is freed in any case is not worth other gradients.
bool is_saved_by_another(const OperatorCall& call, const ObservedSavers& savers) {
  return call.output && !savers.other_savers(*call.output, {call.id}).empty();
}

}  // namespace

std::optional<Match> match_batch_norm(Node* node, const MatchContext& context) {
  if (node->kind() != aten::batch_norm) return std::nullopt;
  Match match;
  match.op = "aten::batch_norm";
  match.aliases = {"batch_norm"};
  match.nodes = {node};
  match.replacement = "invact::batch_norm";
  match.strategy = "output";
  match.required_eighths = 2;  // One channel of many whose weight goes to zero is enough.
  match.gain =
      "keeps its output, which is kept anyway, and a number per channel instead of its input";
  const auto weight = known_tensor(node->input(1), context.top);
  const auto bias = known_tensor(node->input(2), context.top);
  if (!weight || !bias) {
    match.refusal =
        Rejection{"parameters_unknown", "aten::batch_norm's weights are decided at run time"};
    return match;
  }
  const auto training = torch::jit::toIValue(node->input(5));
  match.saved_instead = [weight = *weight, bias = *bias, training, &savers = context.savers](
                            const OperatorCall& call,
                            const Report& report) -> std::variant<SavedInstead, Rejection> {
    const bool trains = training ? training->toBool() : report.run.mode == "train";
    if (!trains) return Rejection{"not_training", "does not train: its input tells its gradients"};
    if (!call.input_requires_grad && !(weight.defined() && weight.requires_grad())) {
      return Rejection{"input_not_needed", "only its bias is trained, and nothing before it"};
    }
    if (auto rejection = check_recoverable(weight, bias, 0, call.output_tensor)) {
      return *std::move(rejection);
    }
    if (!is_saved_by_another(call, savers)) {
      return Rejection{"output_not_kept",
                       "nobody else keeps its output, so keeping it instead of the input frees "
                       "nothing to speak of"};
    }
    return SavedInstead{call.output, channel_bytes(call, report, savers)};
  };
  return match;
}

}  // namespace invact
