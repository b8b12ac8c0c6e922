// Dropout under test beside ATen's: runs with a fixed seed, for operators that must draw what
// ATen's draw; the operators NAME_dropout beside ATen's pair, and what a comparison of their
// gradients must know.
#pragma once

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {

/// What a dropout gives with a fixed seed, and where it leaves the generator.
struct DropoutRun {
  at::Tensor output;
  at::Tensor gradient;
  int64_t next;  ///< next_random() after forward.
};

template <class Dropout>
DropoutRun run_dropout(const Dropout& dropout, const at::Tensor& input,
                       const at::Tensor& grad_output) {
  at::manual_seed(5);
  const at::Tensor tracked = leaf(input);
  const at::Tensor output = dropout(tracked);
  const int64_t next = next_random();
  return {output.detach(), gradient(output, tracked, grad_output), next};
}

struct FusedCase {
  std::string name;  ///< OpCase::name.
  std::function<at::Tensor(const at::Tensor&, double, bool)> invact;
  std::vector<double> jumps;  ///< Outputs at which f' jumps and that many inputs share.

  const OpCase& op() const { return op_case(name); }
  /// In training.
  at::Tensor aten(const at::Tensor& x, double p) const;
};

const std::vector<FusedCase>& fused_cases();

/// What dropout multiplies a kept element by.
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
