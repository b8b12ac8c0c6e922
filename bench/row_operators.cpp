#include "bench/row_operators.h"

#include <ATen/Functions.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <array>
#include <optional>
#include <string_view>
#include <tuple>

#include "kernels/activation/activation_function.h"

namespace invact::bench {
namespace {

using A = Arrays;
constexpr double kEps = 1e-6;
constexpr double kDropped = 0.1;

// The places of Arrays that norms use.
at::Tensor& weight(A& a) {
  return a.scratch[0];
}
at::Tensor& bias(A& a) {
  return a.scratch[1];
}
at::Tensor& mean(A& a) {
  return a.saved[0];
}
at::Tensor& rstd(A& a) {
  return a.saved[1];
}

int64_t columns_of(const A& a) {
  constexpr int64_t kColumns = 1024;
  const int64_t count = a.input.numel();
  return count % kColumns == 0 ? kColumns : count;
}

at::Tensor rows(const at::Tensor& flat, const A& a) {
  return flat.view({-1, columns_of(a)});
}

template <class Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

void check_parameters(const A& a, const std::optional<at::Tensor>& w,
                      const std::optional<at::Tensor>& b) {
  static const auto kHandle =
      find<bool(const std::optional<at::Tensor>&, const std::optional<at::Tensor>&, double,
                at::ScalarType)>("invact::_norm_recoverable");
  TORCH_CHECK(kHandle.call(w, b, 0, a.input.scalar_type()), "the bench's weights are harmless");
}

void norm_backward(A& a, const std::optional<at::Tensor>& b, bool is_centered) {
  using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
  static const auto kHandle = find<Gradients(
      const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
      const std::optional<at::Tensor>&, bool, std::array<bool, 3>)>("invact::_norm_backward");
  const Gradients gradients = kHandle.call(rows(a.grad_output, a), rows(a.output, a), rstd(a),
                                           weight(a), b, is_centered, {true, true, b.has_value()});
  a.grad_input = std::get<0>(gradients).view({-1});
}

void prepare_layer_norm(A& a) {
  at::manual_seed(2);
  weight(a) = at::rand({columns_of(a)}, a.input.options()).add_(0.5);
  bias(a) = at::rand({columns_of(a)}, a.input.options()).sub_(0.5);
}

void layer_norm_forward(A& a) {
  at::Tensor output;
  std::tie(output, mean(a), rstd(a)) =
      at::native_layer_norm(rows(a.input, a), {columns_of(a)}, weight(a), bias(a), kEps);
  a.output = output.view({-1});
}

at::Tensor layer_norm_backward(A& a) {
  auto [grad_input, grad_weight, grad_bias] =
      at::native_layer_norm_backward(rows(a.grad_output, a), rows(a.input, a), {columns_of(a)},
                                     mean(a), rstd(a), weight(a), bias(a), {true, true, true});
  return grad_input.view({-1});
}

void rms_norm_forward(A& a) {
  at::Tensor output;
  std::tie(output, rstd(a)) =
      at::_fused_rms_norm(rows(a.input, a), {columns_of(a)}, weight(a), kEps);
  a.output = output.view({-1});
}

/// On the CPU autograd also saves the input in float32 and the normalized one.
at::Tensor& wide_input(A& a) {
  return a.scratch[1];
}
at::Tensor& normalized(A& a) {
  return a.saved[0];
}

void prepare_rms_norm(A& a) {
  prepare_layer_norm(a);
  rms_norm_forward(a);
  wide_input(a) = rows(a.input, a).to(at::kFloat);
  normalized(a) = at::mul(wide_input(a), rstd(a));
}

/// What autograd runs for at::rms_norm's own operators: both products, rsqrt, mean, square; on a
/// GPU its fused gradient.
at::Tensor rms_norm_backward(A& a) {
  if (a.input.is_cuda()) {
    auto [grad_input, grad_weight] =
        at::_fused_rms_norm_backward(rows(a.grad_output, a), rows(a.input, a), {columns_of(a)},
                                     rstd(a), weight(a), {true, true});
    return grad_input.view({-1});
  }
  const at::Tensor& x = wide_input(a);
  const at::Tensor g = rows(a.grad_output, a).to(at::kFloat);
  const at::Tensor grad_normalized = at::mul(g, weight(a));
  const at::Tensor grad_weight = at::mul(g, normalized(a)).sum(0).to(weight(a).scalar_type());
  const at::Tensor grad_rstd = at::mul(grad_normalized, x).sum({1}, /*keepdim=*/true);
  const at::Tensor grad_mean = at::mul(at::mul(grad_rstd, rstd(a).pow(3)), -0.5);
  const at::Tensor grad_square = at::div(grad_mean.expand_as(x), columns_of(a));
  const at::Tensor through_square = at::mul(grad_square, at::mul(x, 2));
  const at::Tensor grad_input = at::add(at::mul(grad_normalized, rstd(a)), through_square);
  return grad_input.to(a.input.scalar_type()).view({-1});
}

void dropout_forward(A& a) {
  a.saved[0] = at::empty_like(a.input).bernoulli_(1 - kDropped).div_(1 - kDropped);
  at::mul_out(a.output, a.input, a.saved[0]);
}

void own_dropout_forward(A& a) {
  static const auto kHandle = find<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, double)>(
      "invact::_dropout_forward");
  std::tie(a.output, a.branch) = kHandle.call(a.input, kDropped);
}

void own_dropout_backward(A& a) {
  static const auto kHandle =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymIntArrayRef, double, bool)>(
          "invact::_dropout_backward");
  a.grad_input = kHandle.call(a.grad_output, a.branch, {1}, kDropped, /*in_place=*/false);
}

/// Both sides drop the same elements.
void prepare_dropout(A& a) {
  at::manual_seed(3);
  dropout_forward(a);
  at::manual_seed(3);
}

// dropout(gelu(x)): what autograd saves of the pair is the input and the mask, saved[0]; of ours
// the output and both kinds of bits. Both are timed below autograd.

void gelu_dropout_forward(A& a) {
  a.saved[0] = at::empty_like(a.input).bernoulli_(1 - kDropped).div_(1 - kDropped);
  at::gelu_out(a.scratch[0], a.input, "none");
  at::mul_out(a.output, a.scratch[0], a.saved[0]);
}

at::Tensor gelu_dropout_backward(A& a) {
  at::mul_out(a.scratch[0], a.grad_output, a.saved[0]);
  return at::gelu_backward_out(a.grad_input, a.scratch[0], a.input, "none");
}

void prepare_gelu_dropout(A& a) {
  a.scratch[0] = at::empty_like(a.input);
  at::manual_seed(3);
  gelu_dropout_forward(a);
  at::manual_seed(3);
}

/// The place of Arrays that holds what was drawn.
at::Tensor& kept_bits(A& a) {
  return a.saved[1];
}

void own_gelu_dropout_forward(A& a) {
  const kernels::ActivationFunction function = kernels::math::Gelu{};
  using Drop = std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, double);
  static const auto kDrop = find<Drop>("invact::_dropout_forward");
  static const auto kPack =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, double,
                      std::string_view)>("invact::_activation_dropped_bits");
  at::gelu_out(a.scratch[0], a.input, "none");
  std::tie(a.output, kept_bits(a)) = kDrop.call(a.scratch[0], kDropped);
  a.branch =
      kPack.call(a.input, a.output, kept_bits(a), kDropped, kernels::function_name(function));
}

void own_gelu_dropout_backward(A& a) {
  const kernels::ActivationFunction function = kernels::math::Gelu{};
  using Gradient = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                              const std::optional<at::Tensor>&, c10::SymIntArrayRef, double,
                              std::string_view, at::ArrayRef<double>);
  static const auto kGradient = find<Gradient>("invact::_activation_dropped_backward");
  a.grad_input = kGradient.call(a.grad_output, a.output, kept_bits(a), a.branch, {1}, kDropped,
                                kernels::function_name(function), {});
}

}  // namespace

std::vector<BenchOperator> row_operators() {
  return {
      {"layer_norm", std::nullopt, &layer_norm_forward, "at::native_layer_norm",
       &layer_norm_backward, "at::native_layer_norm_backward", &prepare_layer_norm,
       [](A& a) {
         check_parameters(a, weight(a), bias(a));
         layer_norm_forward(a);
       },
       [](A& a) { norm_backward(a, bias(a), /*is_centered=*/true); }},
      {"rms_norm", std::nullopt, &rms_norm_forward, "at::_fused_rms_norm", &rms_norm_backward,
       "autograd of at::rms_norm", &prepare_rms_norm,
       [](A& a) {
         check_parameters(a, weight(a), std::nullopt);
         rms_norm_forward(a);
       },
       [](A& a) { norm_backward(a, std::nullopt, /*is_centered=*/false); }},
      {"dropout", std::nullopt, &dropout_forward, "at::dropout's bernoulli_, div_ and mul",
       [](A& a) { return at::mul_out(a.grad_input, a.grad_output, a.saved[0]); }, "at::mul_out",
       &prepare_dropout, &own_dropout_forward, &own_dropout_backward},
      {"gelu_dropout", std::nullopt, &gelu_dropout_forward, "at::gelu_out and at::dropout's three",
       &gelu_dropout_backward, "at::mul_out and at::gelu_backward_out", &prepare_gelu_dropout,
       &own_gelu_dropout_forward, &own_gelu_dropout_backward},
  };
}

}  // namespace invact::bench
