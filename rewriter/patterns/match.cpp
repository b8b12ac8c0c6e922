#include "rewriter/patterns/match.h"

#include <fmt/format.h>

namespace invact {

std::optional<at::ScalarType> operator_dtype(const TensorFacts& tensor) {
  if (tensor.dtype == "float64") return at::kDouble;
  if (tensor.dtype == "float32") return at::kFloat;
  if (tensor.dtype == "bfloat16") return at::kBFloat16;
  if (tensor.dtype == "float16") return at::kHalf;
  return std::nullopt;
}

Rejection other_dtype(const TensorFacts& tensor) {
  return {"dtype_unknown",
          fmt::format("computes in {}, for which invact has no operator", tensor.dtype)};
}

}  // namespace invact
