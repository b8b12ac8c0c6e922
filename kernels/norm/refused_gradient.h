// What the nodes of the norms share: which gradients are asked for, and that these cannot be
// differentiated in their turn. Dropping the graph silently would give a wrong number. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <c10/util/FunctionRef.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "kernels/norm/norm_operators.h"

namespace invact::kernels {

/// Of an operator's first inputs; undefined where none is wanted.
template <size_t kCount>
using Gradients = std::array<at::Tensor, kCount>;

template <size_t kCount>
struct RefusedGradient : torch::autograd::Function<RefusedGradient<kCount>> {
  using Compute = c10::function_ref<Gradients<kCount>()>;

  /// Of what the gradients are made: each has its part in the graph. @returns those that are
  /// defined, in order.
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* ctx,
                                                const at::Tensor& grad_output,
                                                const at::Tensor& output,
                                                const std::optional<at::Tensor>& weight,
                                                const std::string& op, Compute compute) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    ctx->saved_data["operator"] = op;
    torch::autograd::variable_list wanted;
    for (at::Tensor& gradient : compute()) {
      if (gradient.defined()) wanted.push_back(std::move(gradient));
    }
    return wanted;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list&) {
    TORCH_CHECK_NOT_IMPLEMENTED(false, "invact::", ctx->saved_data["operator"].toStringRef(),
                                ": double backward is not supported. Use ATen's operator where the "
                                "gradient itself is differentiated.");
  }
};

/// Which gradients a norm's node is asked for: of its input, weight and bias.
inline std::array<bool, 3> wanted_gradients(torch::autograd::AutogradContext* ctx,
                                            const NormParameters& parameters) {
  // Undefined tensors have no edge.
  std::array<bool, 3> mask{};
  size_t edge = 0;
  mask[0] = ctx->needs_input_grad(edge++);
  if (parameters.weight.defined()) mask[1] = ctx->needs_input_grad(edge++);
  if (parameters.bias.defined()) mask[2] = ctx->needs_input_grad(edge++);
  return mask;
}

/// What `compute` makes of the three tensors, behind a node that refuses to be differentiated where
/// grad mode is on. `mask`: which gradients it defines; `weight` may be undefined.
template <size_t kCount>
Gradients<kCount> once_differentiable(const at::Tensor& grad_output, const at::Tensor& output,
                                      const at::Tensor& weight, const std::string& op,
                                      std::array<bool, kCount> mask,
                                      c10::function_ref<Gradients<kCount>()> compute) {
  if (!torch::autograd::GradMode::is_enabled()) return compute();
  const auto given = weight.defined() ? std::optional(weight) : std::nullopt;
  torch::autograd::variable_list found =
      RefusedGradient<kCount>::apply(grad_output, output, given, op, compute);
  Gradients<kCount> result;
  for (size_t i = 0, next = 0; i < kCount; ++i) {
    if (mask[i]) result[i] = std::move(found[next++]);
  }
  return result;
}

}  // namespace invact::kernels
