// How far one model's gradients lie from another's of the same parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace invact {

/// Calls `visit(first, a, b)` with the elements of two tensors of one shape as float64 on the CPU,
/// from element `first` on, some thousands at a time: a large model's gradients fill the memory
/// without copies of them.
void visit_pieces(const at::Tensor& a, const at::Tensor& b,
                  const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& visit);

/// What one parameter's gradients a and b have to say, computed in float64.
struct GradientDifference {
  double norm = 0;        ///< |a|; 0 where there is no a.
  double difference = 0;  ///< |a - b|; 0 where one is missing.
};
GradientDifference difference_of(const at::Tensor& a, const at::Tensor& b);

/// Each gradient's term of the gradient distance: |a - b| / max(|a|, largest |a| / 1000).
std::vector<double> distance_terms(const std::vector<GradientDifference>& differences);

/// The distance: NaN counts as infinitely far.
double largest_term(const std::vector<double>& terms);

}  // namespace invact
