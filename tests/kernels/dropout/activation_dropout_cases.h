// The operators NAME_dropout beside ATen's pair, and what a comparison of their gradients must
// know.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {

struct FusedCase {
  std::string name;  ///< OpCase::name.
  std::function<at::Tensor(const at::Tensor&, double, bool)> invact;
  std::vector<double> jumps;  ///< Outputs at which f' jumps and that many inputs share.

  const OpCase& op() const { return op_case(name); }
  /// In training.
  at::Tensor aten(const at::Tensor& x, double p) const;
};

const std::vector<FusedCase>& fused_cases();

/// What dropout multiplies a kept one by.
double dropout_factor(const at::TensorOptions& options, double p);

/// Elements of output = dropout(f(x)) beside one at which f' jumps, that became the same by
/// dropout: nothing tells them from that.
at::Tensor beside_jump(const FusedCase& fused, const at::Tensor& x, const at::Tensor& output,
                       double p);

/// Largest |gradient - ATen's|. An output recovered from the dropped one is at most a unit in the
/// last place off beside half a unit, which the bounds are for: f' errs by sqrt(3) of them at a
/// minimum and by 3 where it is a formula of the output; ATen rounds twice.
double fused_tolerance(const FusedCase& fused, at::ScalarType dtype, double largest_grad_output);

}  // namespace invact::testing
