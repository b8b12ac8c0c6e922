// The list names the cheap operators: every other one (matmul, linear, convolution, attention,
// recurrent cells, embedding, indexing, pooling with indices, sorting, FFT, and an operator that
// has not been looked at yet) is heavy. Otherwise the floor could promise bytes that cannot be
// freed.
#include "kernels/heavy_operators.h"

#include <algorithm>

namespace invact::kernels {
namespace {

constexpr std::string_view kCheapOperators[] = {
    // As many on a line as fit:
    // clang-format off
    "abs", "absolute", "acos", "acosh", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "add", "addcdiv", "addcmul", "alias", "alpha_dropout", "amax", "amin",
    "as_strided", "asin", "asinh", "atan", "atan2", "atanh", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "batch_norm", "broadcast_to", "cat", "ceil", "celu", "channel_shuffle", "chunk",
    "clamp", "clamp_max", "clamp_min", "clip", "clone", "column_stack", "concat", "concatenate",
    "constant_pad_nd", "contiguous", "copy", "cos", "cosh", "detach", "diagonal", "div", "divide",
    "dropout", "dstack", "elu", "erf", "erfc", "erfinv", "exp", "exp2", "expand", "expand_as",
    "expm1", "feature_alpha_dropout", "feature_dropout", "fix", "flatten", "flip", "float_power",
    "floor", "frac", "frobenius_norm", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hstack", "hypot", "instance_norm", "layer_norm", "leaky_relu", "lerp",
    "linalg_vector_norm", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax",
    "logaddexp", "logit", "logsumexp", "masked_fill", "max", "maximum", "mean", "min", "minimum",
    "mish", "moveaxis", "movedim", "mul", "multiply", "nan_to_num", "narrow", "native_batch_norm",
    "native_dropout", "native_group_norm", "native_layer_norm", "neg", "negative", "norm",
    "ones_like", "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "pow", "prelu", "ravel",
    "reciprocal", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "relu", "relu6",
    "repeat", "repeat_interleave", "replication_pad1d", "replication_pad2d", "replication_pad3d",
    "reshape", "reshape_as", "rms_norm", "roll", "round", "rrelu", "rsqrt", "rsub", "select",
    "selu", "sigmoid", "sign", "silu", "sin", "sinc", "sinh", "slice", "softmax", "softplus",
    "softshrink", "special_log_softmax", "special_softmax", "split", "split_with_sizes", "sqrt",
    "square", "squeeze", "stack", "std", "std_mean", "sub", "subtract", "sum", "swapaxes",
    "swapdims", "t", "tan", "tanh", "threshold", "tile", "to", "transpose", "tril", "triu",
    "true_divide", "trunc", "type_as", "unbind", "unflatten", "unfold", "unsqueeze",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d", "var", "var_mean", "view",
    "view_as", "vstack", "where", "xlogy", "zeros_like",
    // clang-format on
};

}  // namespace

std::span<const std::string_view> cheap_operators() {
  return kCheapOperators;
}

bool is_heavy(std::string_view op) {
  constexpr std::string_view kAten = "aten::";
  if (!op.starts_with(kAten)) return true;
  op.remove_prefix(kAten.size());
  const auto listed = [](std::string_view name) {
    return std::find(std::begin(kCheapOperators), std::end(kCheapOperators), name) !=
           std::end(kCheapOperators);
  };
  if (listed(op)) return false;
  // The in-place form of a cheap operator is cheap.
  return !(op.ends_with('_') && listed(op.substr(0, op.size() - 1)));
}

}  // namespace invact::kernels
