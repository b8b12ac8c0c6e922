// Which operators make up a model's floor. The list names the cheap ones: whatever is not on it
// (matmul, linear, convolution, attention, recurrent cells, embedding, indexing, pooling with
// indices, sorting, FFT, and every operator that nobody has looked at yet) is heavy, so that the
// floor never promises bytes that cannot be freed.
#include <algorithm>
#include <string_view>

#include "kernels/catalog.h"

namespace invact::kernels {
namespace {

constexpr std::string_view kCheapOperators[] = {
    // clang-format off
    "abs", "absolute", "acos", "acosh", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "add",
    "addcdiv", "addcmul", "alias", "alpha_dropout", "amax", "amin", "as_strided", "asin", "asinh", "atan", "atan2",
    "atanh", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "broadcast_to", "cat", "ceil", "celu",
    "channel_shuffle", "chunk", "clamp", "clamp_max", "clamp_min", "clone", "concat", "concatenate", "contiguous", "copy",
    "cos", "cosh", "detach", "diagonal", "div", "divide", "dropout", "elu", "erf", "erfc", "erfinv", "exp", "exp2",
    "expand", "expand_as", "expm1", "feature_alpha_dropout", "feature_dropout", "flatten", "flip", "floor", "frac",
    "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "instance_norm", "layer_norm",
    "leaky_relu", "lerp", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax", "logaddexp", "logsumexp",
    "masked_fill", "max", "maximum", "mean", "min", "minimum", "mish", "movedim", "mul", "multiply", "nan_to_num",
    "narrow", "native_batch_norm", "native_dropout", "native_group_norm", "native_layer_norm", "neg", "norm", "ones_like",
    "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "pow", "prelu", "reciprocal", "relu", "relu6", "repeat",
    "reshape", "reshape_as", "rms_norm", "roll", "round", "rrelu", "rsqrt", "rsub", "select", "selu", "sigmoid", "sign",
    "silu", "sin", "sinh", "slice", "softmax", "softplus", "softshrink", "softsign", "split", "split_with_sizes", "sqrt",
    "square", "squeeze", "stack", "std", "std_mean", "sub", "subtract", "sum", "t", "tan", "tanh", "threshold", "tile",
    "to", "transpose", "tril", "triu", "type_as", "unbind", "unflatten", "unsqueeze", "var", "var_mean", "view",
    "view_as", "vector_norm", "where", "zeros_like",
    // clang-format on
};

}  // namespace

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
