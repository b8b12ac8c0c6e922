// Verification: how far a rewritten model's step lies from the original's. Plain data;
// verify.h makes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace.h"

namespace invact {

/// Two tensors of one name. Errors are of the second against the first.
struct TensorComparison {
  std::string name;
  double max_abs_error = 0;
  double max_rel_error = 0;  ///< max_abs_error over the first's largest magnitude.
  double cosine = 1;
  double distance = 0;  ///< Gradients: the term of the gradient distance.
  double tolerance = 0;
  std::vector<int64_t> worst_index;  ///< Of the element with the largest error.
  double worst_original = 0;
  double worst_rewritten = 0;
  bool missing_in_one = false;  ///< Only one side has this tensor.
};

struct Verification {
  bool passed = false;
  std::vector<std::string> failures;  ///< One sentence each.
  std::vector<std::string> notes;
  uint64_t seed = 0;
  std::vector<InputRecord> inputs;
  int64_t saved_bytes_before = 0;
  int64_t saved_bytes_after = 0;
  std::optional<int64_t> predicted_bytes;  ///< Where a plan was at hand.
  std::vector<TensorComparison> outputs;
  std::vector<TensorComparison> gradients;  ///< Distance descending.
  double gradient_distance = 0;
  double gradient_tolerance = 0;
  /// The original's own distance from its float64 gradient; none where it does not run in float64.
  std::optional<double> reference_distance;
};

}  // namespace invact
