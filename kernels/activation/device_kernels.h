// What the CPU and the CUDA kernels of activations share: checks, bringing tensors of any strides
// into one memory order, and registration. A device gives three functions; all tensors lie on it:
//   // out: ATen's output of `self`, of ATen's strides; the bits go to `branch`
//   static at::Tensor forward(const ActivationFunction&, const at::Tensor& self,
//                             at::Tensor& branch);
//   // the same into `output`, dense and of self's strides
//   static void forward_out(const ActivationFunction&, const at::Tensor& self, at::Tensor& output,
//                           at::Tensor& branch);
//   static void backward(const ActivationFunction&, const GradientTensors&);
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>

#include "kernels/activation/activation_function.h"
#include "kernels/activation/internal_operators.h"
#include "kernels/memory_layout.h"

namespace invact::kernels {

/// Dense, of one dtype, size and strides, on one device; `branch` is contiguous uint8, undefined
/// for a function without a branch bit.
struct GradientTensors {
  at::Tensor grad_output;
  at::Tensor output;
  at::Tensor branch;
  at::Tensor grad_input;
};

inline ActivationFunction checked_function(std::string_view name,
                                           at::ArrayRef<double> parameters = {}) {
  try {
    return make_function(name, {parameters.data(), parameters.size()});
  } catch (const std::invalid_argument& error) {
    TORCH_CHECK_VALUE(false, error.what());
  }
}

inline void check_branch(const ActivationFunction& function, const at::Tensor& branch,
                         const at::Tensor& output) {
  const int64_t bytes = branch_byte_count(function, output.numel());
  TORCH_CHECK(branch.scalar_type() == at::kByte && branch.numel() == bytes,
              "invact: ", branch.numel(), " bytes of branch bits for ", output.numel(),
              " elements of '", function_name(function), "'");
  TORCH_CHECK(branch.device() == output.device(),
              "invact: output and branch bits lie on different devices");
}

template <class Device>
struct DeviceKernels {
  static std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, std::string_view name) {
    const ActivationFunction function = checked_function(name);
    at::Tensor branch =
        at::empty({branch_byte_count(function, self.numel())}, self.options().dtype(at::kByte));
    at::Tensor output = Device::forward(function, self, branch);
    return {std::move(output), std::move(branch)};
  }

  static std::tuple<at::Tensor&, at::Tensor&> forward_out(const at::Tensor& self,
                                                          std::string_view name, at::Tensor& output,
                                                          at::Tensor& branch) {
    const ActivationFunction function = checked_function(name);
    TORCH_CHECK(output.sizes() == self.sizes() && output.scalar_type() == self.scalar_type() &&
                    output.device() == self.device() && self.is_non_overlapping_and_dense() &&
                    same_memory_order(self.sizes(), self.strides(), output.strides()),
                "invact: output must be dense, of the size, strides, dtype and device of self");
    check_branch(function, branch, output);
    TORCH_CHECK(branch.is_contiguous(), "invact: branch must be contiguous");
    if (self.numel() > 0) Device::forward_out(function, self, output, branch);
    return {output, branch};
  }

  static at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& output,
                             const std::optional<at::Tensor>& branch, at::IntArrayRef strides,
                             std::string_view name, at::ArrayRef<double> parameters) {
    TORCH_CHECK(strides.size() == output.sizes().size(), "invact: ", strides.size(),
                " strides for an output of shape ", output.sizes());
    at::Tensor grad_input = at::empty_strided(output.sizes(), strides, output.options());
    backward_out(grad_output, output, branch, name, parameters, grad_input);
    return grad_input;
  }

  static at::Tensor& backward_out(const at::Tensor& grad_output, const at::Tensor& output,
                                  const std::optional<at::Tensor>& branch, std::string_view name,
                                  at::ArrayRef<double> parameters, at::Tensor& grad_input) {
    const ActivationFunction function = checked_function(name, parameters);
    for (const at::Tensor& gradient : {grad_output, grad_input}) {
      TORCH_CHECK(gradient.sizes() == output.sizes(), "invact: gradient of shape ",
                  gradient.sizes(), " for an output of shape ", output.sizes());
      TORCH_CHECK(gradient.scalar_type() == output.scalar_type(), "invact: gradient of dtype ",
                  gradient.scalar_type(), " for an output of dtype ", output.scalar_type());
      TORCH_CHECK(gradient.device() == output.device(),
                  "invact: gradient and output lie on different devices");
    }
    TORCH_CHECK(grad_input.is_non_overlapping_and_dense(), "invact: grad_input must be dense");
    TORCH_CHECK(branch.has_value() == (branch_bits(function) > 0), "invact: '",
                function_name(function), "' has ", branch_bits(function),
                " branch bits per element");
    if (branch) check_branch(function, *branch, output);
    if (output.numel() == 0) return grad_input;
    const at::IntArrayRef strides = grad_input.strides();
    Device::backward(function,
                     {in_memory_order(grad_output, strides), in_memory_order(output, strides),
                      branch ? branch->contiguous() : at::Tensor(), grad_input});
    return grad_input;
  }

  static void register_in(torch::Library& m) {
    m.impl("_activation_forward", &forward);
    m.impl("_activation_forward.out", &forward_out);
    m.impl("_activation_backward", &backward);
    m.impl("_activation_backward.grad_input", &backward_out);
  }
};

}  // namespace invact::kernels
