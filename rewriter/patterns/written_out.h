// Pattern: an activation that the model writes out in elementary operators.
//
//   before   %y = 0.5 * %x * (1 + tanh(sqrt(2/pi) * (%x + 0.044715 * %x ** 3)))
//            saves %x and every product's factors
//   after    %y = invact::gelu(%x, 'tanh')        saves %y and one bit per element
//
// An expression of one tensor is known by its values, not by its spelling: it is one of the
// library's functions where it agrees with the operator that would take its place, in float64 and
// in the dtype that it runs in, over the whole range. Casts belong to it where they bring the
// result back to its input's dtype: gelu(x.float()).type_as(x). Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "rewriter/graph/inlined_model.h"
#include "rewriter/patterns/expression.h"
#include "rewriter/patterns/match.h"

namespace invact {

class WrittenOutActivations {
 public:
  /// `inlined` must outlive the result. The operator library must be registered.
  explicit WrittenOutActivations(const InlinedModel& inlined) : inlined_(inlined) {}

  /// The largest expression ending in `node` that is a function of the library.
  std::optional<Match> match(torch::jit::Node* node);

 private:
  std::vector<torch::jit::Node*> largest_expression(torch::jit::Node* root) const;
  const Recognized& recognized(const Expression& expression);

  const InlinedModel& inlined_;
  std::unordered_map<std::string, Recognized> known_;  ///< By what the expression computes.
};

}  // namespace invact
