// What the norms' CPU and CUDA kernels share: checks, the dtype they compute in, and registration.
// A device gives two functions; all tensors lie on it:
//   static void backward(const NormGradient&);
//   // whether backward() takes statistics and parameters in any floating dtype, and gives the
//   // parameters' gradients in the parameters'; else it has all of them in compute dtype
//   static constexpr bool kTakesAnyDtype;
//   // weight or bias is defined
//   static bool recoverable(const NormParameters&, double weight_offset, at::ScalarType dtype);
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <array>
#include <optional>

#include "kernels/norm/norm_operators.h"

namespace invact::kernels {

/// The dtype in which rows of this one are computed.
inline at::ScalarType compute_dtype(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

/// Offset + weight and bias as the kernels read them: in compute dtype, contiguous.
inline NormParameters computed_parameters(const NormParameters& parameters, double weight_offset,
                                          at::ScalarType compute) {
  const auto computed = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(compute).contiguous() : tensor;
  };
  NormParameters result{computed(parameters.weight), computed(parameters.bias)};
  if (result.weight.defined() && weight_offset != 0) {
    result.weight = at::add(result.weight, weight_offset);
  }
  return result;
}

inline NormParameters contiguous(const NormParameters& parameters) {
  const auto dense = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.contiguous() : tensor;
  };
  return {dense(parameters.weight), dense(parameters.bias)};
}

/// Contiguous, on one device, with at least one element. Statistics and parameters are of compute
/// dtype, unless the device takes any; what is undefined is not wanted, or, for weight and bias,
/// ones and zeros.
struct NormGradient {
  at::Tensor grad_output;
  at::Tensor output;
  at::Tensor rstd;
  NormParameters parameters;
  at::Tensor grad_input;
  at::Tensor grad_weight;
  at::Tensor grad_bias;
  int64_t rows;
  int64_t columns;
  bool is_centered;

  bool is_affine() const { return parameters.weight.defined() || parameters.bias.defined(); }
};

inline void check_norm(const at::Tensor& grad_output, const at::Tensor& output,
                       const at::Tensor& rstd, const NormParameters& parameters, bool is_centered,
                       std::array<bool, 3> mask) {
  TORCH_CHECK(grad_output.sizes() == output.sizes(), "invact: gradient of shape ",
              grad_output.sizes(), " for an output of shape ", output.sizes());
  TORCH_CHECK(grad_output.scalar_type() == output.scalar_type(), "invact: gradient of dtype ",
              grad_output.scalar_type(), " for an output of dtype ", output.scalar_type());
  const int64_t rows = rstd.numel();
  TORCH_CHECK(rows == 0 ? output.numel() == 0 : output.numel() % rows == 0, "invact: ", rows,
              " rows for an output of shape ", output.sizes());
  TORCH_CHECK(is_centered || !parameters.bias.defined(),
              "invact: a norm without a mean has no bias");
  TORCH_CHECK(!mask[1] || parameters.weight.defined(), "invact: gradient of no weight");
  TORCH_CHECK(!mask[2] || parameters.bias.defined(), "invact: gradient of no bias");
  for (const at::Tensor& other : {grad_output, rstd, parameters.weight, parameters.bias}) {
    TORCH_CHECK(!other.defined() || other.device() == output.device(),
                "invact: the norm's tensors lie on different devices");
  }
  for (const at::Tensor& parameter : {parameters.weight, parameters.bias}) {
    if (!parameter.defined() || rows == 0) continue;
    TORCH_CHECK(parameter.numel() == output.numel() / rows, "invact: a weight or bias of shape ",
                parameter.sizes(), " for ", rows, " rows of an output of shape ", output.sizes());
  }
}

template <class Device>
struct NormKernels {
  static NormGradients backward(const at::Tensor& grad_output, const at::Tensor& output,
                                const at::Tensor& rstd, const std::optional<at::Tensor>& weight,
                                const std::optional<at::Tensor>& bias, bool is_centered,
                                std::array<bool, 3> mask) {
    const NormParameters given{weight.value_or(at::Tensor()), bias.value_or(at::Tensor())};
    check_norm(grad_output, output, rstd, given, is_centered, mask);
    NormGradient gradient{};
    gradient.grad_output = grad_output.contiguous();
    gradient.output = output.contiguous();
    gradient.rows = rstd.numel();
    gradient.columns = gradient.rows == 0 ? 0 : output.numel() / gradient.rows;
    gradient.is_centered = is_centered;
    if constexpr (Device::kTakesAnyDtype) {
      gradient.rstd = rstd.contiguous();
      gradient.parameters = contiguous(given);
    } else {
      const at::ScalarType compute = compute_dtype(output.scalar_type());
      gradient.rstd = rstd.to(compute).contiguous();
      gradient.parameters = computed_parameters(given, /*weight_offset=*/0, compute);
    }
    if (mask[0]) gradient.grad_input = at::empty_like(gradient.output);
    // Zeros where there are no rows.
    const auto sums_like = [&](const at::Tensor& parameter) {
      return output.numel() == 0 ? at::zeros_like(parameter) : at::empty_like(parameter);
    };
    if (mask[1]) gradient.grad_weight = sums_like(gradient.parameters.weight);
    if (mask[2]) gradient.grad_bias = sums_like(gradient.parameters.bias);
    if (output.numel() > 0) Device::backward(gradient);
    if constexpr (!Device::kTakesAnyDtype) {
      if (mask[1]) gradient.grad_weight = gradient.grad_weight.to(given.weight.scalar_type());
      if (mask[2]) gradient.grad_bias = gradient.grad_bias.to(given.bias.scalar_type());
    }
    return {gradient.grad_input, gradient.grad_weight, gradient.grad_bias};
  }

  static bool recoverable(const std::optional<at::Tensor>& weight,
                          const std::optional<at::Tensor>& bias, double weight_offset,
                          at::ScalarType dtype) {
    const NormParameters given{weight.value_or(at::Tensor()), bias.value_or(at::Tensor())};
    TORCH_CHECK(given.weight.defined() || given.bias.defined(), "invact: neither weight nor bias");
    TORCH_CHECK(!given.weight.defined() || !given.bias.defined() ||
                    given.weight.numel() == given.bias.numel(),
                "invact: weight and bias of different sizes");
    return Device::recoverable(given, weight_offset, dtype);
  }

  static void register_in(torch::Library& m) {
    m.impl("_norm_backward", &backward);
    m.impl("_norm_recoverable", &recoverable);
  }
};

}  // namespace invact::kernels
