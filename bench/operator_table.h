// The operators that the bench compares: for each, the call of ATen that ours is measured beside,
// and our own, both into arrays that exist beforehand. What is timed and how: comparison.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation/activation_function.h"

namespace invact::bench {

/// Dense and contiguous, of one dtype and count and on one device. Both sides use the same ones.
struct Arrays {
  at::Tensor input;
  at::Tensor grad_output;
  at::Tensor output;
  at::Tensor grad_input;
  at::Tensor branch;  ///< Undefined for a function without a branch bit.
  /// What ATen's autograd saves beside the input (the sigmoid of QuickGELU, log_sigmoid's buffer).
  std::array<at::Tensor, 2> saved;
  std::array<at::Tensor, 2> scratch;
};

struct BenchOperator {
  using Call = void (*)(Arrays&);
  using Gradient = at::Tensor (*)(Arrays&);

  std::string name;  ///< Of the operator, with its variant: "gelu_tanh".
  /// None for an operator that is no function of one element: `own_forward` and `own_backward` are
  /// its own then.
  std::optional<kernels::ActivationFunction> function;
  Call aten_forward;  ///< Writes `output`.
  const char* aten_forward_name;
  Gradient aten_backward;  ///< Gives `grad_input`, or a new tensor where ATen can do no other.
  const char* aten_backward_name;
  Call prepare_aten_backward = nullptr;  ///< Fills `saved` and `scratch`; null: needs neither.

  Call own_forward = nullptr;   ///< Writes `output` and what our backward reads.
  Call own_backward = nullptr;  ///< Writes `grad_input`.

  /// Whether our forward is another one than ATen's: it packs bits, or looks at weights.
  bool has_own_forward() const { return !function || kernels::branch_bits(*function) > 0; }
};

/// Every operator of the library, with default parameters.
const std::vector<BenchOperator>& bench_operators();

/// Input and gradient from a fixed seed; output and grad_input filled, so that their pages exist.
Arrays make_arrays(at::ScalarType dtype, int64_t count, at::Device device);

/// The bits of `op`, and what ATen's backward of it needs.
void prepare(const BenchOperator& op, Arrays& arrays);

/// invact::_activation_forward.out, or the operator's own: writes `output` and `branch`.
void invact_forward(const BenchOperator& op, Arrays& arrays);
/// invact::_activation_backward.grad_input, or the operator's own: reads `output` and `branch`,
/// writes `grad_input`.
void invact_backward(const BenchOperator& op, Arrays& arrays);

}  // namespace invact::bench
