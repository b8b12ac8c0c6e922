#include "analyzer/reporting/operator_kinds.h"

#include <algorithm>
#include <span>

namespace invact {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kCasts[] = {"_to_copy", "to", "type_as"};
constexpr std::string_view kCopies[] = {"broadcast_to", "clone",  "contiguous",        "expand_as",
                                        "flatten",      "repeat", "repeat_interleave", "reshape",
                                        "reshape_as",   "tile"};
constexpr std::string_view kNorms[] = {
    "batch_norm",        "group_norm",        "instance_norm",     "layer_norm",
    "native_batch_norm", "native_group_norm", "native_layer_norm", "rms_norm"};
constexpr std::string_view kProducts[] = {"mul", "multiply"};
constexpr std::string_view kDropouts[] = {"alpha_dropout", "dropout", "feature_alpha_dropout",
                                          "feature_dropout", "native_dropout"};
constexpr std::string_view kPointwise[] = {
    "abs",       "add",       "cos",    "div",  "divide",   "erf",        "exp",        "log",
    "log1p",     "neg",       "pow",    "relu", "rsqrt",    "rsub",       "reciprocal", "sigmoid",
    "sin",       "sqrt",      "square", "sub",  "subtract", "tanh",       "softplus",   "clamp",
    "clamp_min", "clamp_max", "expm1",  "erfc", "where",    "masked_fill"};

bool has(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool is_in_place(std::string_view op) {
  return op.ends_with('_') && !op.ends_with("__");
}

OperatorKind operator_kind(std::string_view op) {
  constexpr std::string_view kAten = "aten::";
  if (!op.starts_with(kAten)) return OperatorKind::kOther;
  op.remove_prefix(kAten.size());
  if (is_in_place(op)) op.remove_suffix(1);
  if (has(kCasts, op)) return OperatorKind::kCast;
  if (has(kCopies, op)) return OperatorKind::kCopy;
  if (has(kNorms, op)) return OperatorKind::kNorm;
  if (has(kProducts, op)) return OperatorKind::kProduct;
  if (has(kDropouts, op)) return OperatorKind::kDropout;
  if (has(kPointwise, op)) return OperatorKind::kPointwise;
  return OperatorKind::kOther;
}

}  // namespace invact
