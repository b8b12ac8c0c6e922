#include "rewriter/patterns/norm.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/ScalarType.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "kernels/catalog.h"
#include "kernels/register.h"

namespace invact {
namespace {

using torch::jit::Node;
using torch::jit::Value;

const kernels::Norm* find_norm(const std::string& op) {
  const auto rows = kernels::norms();
  const auto row = std::find_if(rows.begin(), rows.end(), [&op](const kernels::Norm& norm) {
    return norm.aten_op == op && !norm.is_per_channel;
  });
  return row == rows.end() ? nullptr : &*row;
}

/// How many of the last dimensions make a row; none where only the run decides.
std::optional<size_t> row_dimensions(Value* normalized_shape) {
  if (const auto constant = torch::jit::toIValue(normalized_shape)) {
    return constant->isIntList() ? std::optional(constant->toIntVector().size()) : std::nullopt;
  }
  const Node* const list = normalized_shape->node();
  if (list->kind() != torch::jit::prim::ListConstruct) return std::nullopt;
  return list->inputs().size();
}

/// The weights of one call, as far as the file shows them.
struct NormWeights {
  at::Tensor weight;
  at::Tensor bias;
};

std::optional<NormWeights> weights_of(const kernels::Norm& norm, Node* node,
                                      const torch::jit::Module& top) {
  const auto weight = known_tensor(node->input(2), top);
  const auto bias = norm.has_bias ? known_tensor(node->input(3), top) : at::Tensor();
  if (!weight || !bias) return std::nullopt;
  return NormWeights{*weight, *bias};
}

/// Bytes of the number that a row saves: on the CPU layer_norm's is of its parameters' dtype.
int64_t row_bytes(const kernels::Norm& norm, const NormWeights& weights, bool on_cpu,
                  const TensorFacts& output) {
  const int64_t element_bytes = output.element_count > 0 ? output.bytes / output.element_count : 0;
  const bool is_double = output.dtype == "float64";
  if (!on_cpu || !norm.has_bias) return is_double ? sizeof(double) : sizeof(float);
  for (const at::Tensor& parameter : {weights.weight, weights.bias}) {
    if (parameter.defined()) return static_cast<int64_t>(parameter.element_size());
  }
  return element_bytes;
}

/// The operator's own answer.
bool is_recoverable(const at::Tensor& weight, const at::Tensor& bias, double weight_offset,
                    at::ScalarType dtype) {
  if (!weight.defined() && !bias.defined()) return true;
  using Signature = bool(const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, double,
                         at::ScalarType);
  kernels::ensure_registered();
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::_norm_recoverable", "")
                                 .typed<Signature>();
  const auto given = [](const at::Tensor& tensor) {
    return tensor.defined() ? std::optional(tensor.detach()) : std::nullopt;
  };
  return handle.call(given(weight), given(bias), weight_offset, dtype);
}

}  // namespace

int64_t row_count(const TensorFacts& output, size_t row_dimensions) {
  int64_t rows = 1;
  for (size_t i = 0; i + row_dimensions < output.shape.size(); ++i) rows *= output.shape[i];
  return rows;
}

std::optional<Rejection> check_recoverable(const at::Tensor& weight, const at::Tensor& bias,
                                           double weight_offset, const TensorFacts& output) {
  const auto dtype = operator_dtype(output);
  if (!dtype) return other_dtype(output);
  if (is_recoverable(weight, bias, weight_offset, *dtype)) return std::nullopt;
  return Rejection{"weights_hide_input",
                   "its weight is so small beside its bias, or so close to zero, that the output "
                   "does not tell its input well enough"};
}

std::optional<Match> match_norm(Node* node, const MatchContext& context) {
  const std::string op = node->kind().toQualString();
  const kernels::Norm* const norm = find_norm(op);
  if (!norm) return std::nullopt;
  Match match;
  match.op = op;
  match.aliases = {unqualified(op)};
  match.nodes = {node};
  match.replacement = norm->invact_op;
  match.strategy = "output";
  match.gain = "keeps its output, which is kept anyway, and a number per row instead of its input";
  const auto dimensions = row_dimensions(node->input(1));
  const auto weights = weights_of(*norm, node, context.top);
  if (!dimensions || !weights) {
    match.refusal = Rejection{"parameters_unknown",
                              fmt::format("{}'s shape or weights are decided at run time", op)};
    return match;
  }
  match.saved_instead =
      [norm, dimensions = *dimensions, weights = *weights, on_cpu = context.on_cpu](
          const OperatorCall& call, const Report&) -> std::variant<SavedInstead, Rejection> {
    const TensorFacts& output = call.output_tensor;
    if (!call.input_requires_grad &&
        !(weights.weight.defined() && weights.weight.requires_grad())) {
      return Rejection{"input_not_needed", "only its bias is trained, and nothing before it"};
    }
    if (auto rejection = check_recoverable(weights.weight, weights.bias, 0, output)) {
      return *std::move(rejection);
    }
    return SavedInstead{call.output,
                        row_count(output, dimensions) * row_bytes(*norm, weights, on_cpu, output)};
  };
  return match;
}

}  // namespace invact
