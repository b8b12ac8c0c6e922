// The two operators below autograd of which every public activation is made: forward with branch
// bits, and the gradient from the output; and ATen's own forward, which the kernels of the first
// one run. Each device and Meta registers kernels (device_kernels.h, meta.cpp); the `.out` forms
// write into given tensors, as ATen's do.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>

#include <optional>
#include <tuple>

#include "kernels/activation/activation_function.h"

namespace invact::kernels {

// Branch bits: uint8, ceil(n / 8) bytes, element i of the output's memory order in bit i % 8 of
// byte i / 8. `strides` are those the bits were packed by; `output` and `grad_output` may have come
// back with others.
constexpr const char* kForwardSchema =
    "_activation_forward(Tensor self, str function) -> (Tensor output, Tensor branch)";
constexpr const char* kForwardOutSchema =
    "_activation_forward.out(Tensor self, str function, *, Tensor(a!) output, Tensor(b!) branch)"
    " -> (Tensor(a!), Tensor(b!))";
constexpr const char* kBackwardSchema =
    "_activation_backward(Tensor grad_output, Tensor output, Tensor? branch, SymInt[] strides, str "
    "function, float[] parameters) -> Tensor";
constexpr const char* kBackwardOutSchema =
    "_activation_backward.grad_input(Tensor grad_output, Tensor output, Tensor? branch, str "
    "function, float[] parameters, *, Tensor(a!) grad_input) -> Tensor(a!)";

/// ATen's output of a function with a branch bit, and the bits.
std::tuple<at::Tensor, at::Tensor> activation_forward(const at::Tensor& self,
                                                      const ActivationFunction& function);

/// grad_output * f'(x), with these strides; no `branch` for a function without a branch bit.
at::Tensor activation_backward(const at::Tensor& grad_output, const at::Tensor& output,
                               const std::optional<at::Tensor>& branch, c10::SymIntArrayRef strides,
                               const ActivationFunction& function);

/// ATen's own forward. @throws c10::Error for a function without a branch bit: its operator calls
/// ATen directly.
at::Tensor aten_forward(const ActivationFunction& function, const at::Tensor& self);

/// The same into `output`.
void aten_forward_out(const ActivationFunction& function, const at::Tensor& self,
                      at::Tensor& output);

}  // namespace invact::kernels
