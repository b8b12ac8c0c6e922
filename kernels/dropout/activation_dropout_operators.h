// The operators below autograd behind invact::NAME_dropout, dropout of an activation: bits packed
// and gradient taken from what dropout made of the activation's output. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>

#include <optional>

#include "kernels/activation/activation_function.h"

namespace invact::kernels {

// Branch bits as those of internal_operators.h, in the memory order of `dropped`; where an element
// was dropped its bit says nothing. On the CPU float32's refinement codes are for the outputs that
// the gradient will have back from `dropped` (dropout_scale.h). `kept`: as
// dropout_operators.h says.
constexpr const char* kDroppedBitsSchema =
    "_activation_dropped_bits(Tensor self, Tensor dropped, Tensor kept, float p, str function) -> "
    "Tensor";
// grad_output times dropout's factor times f'(x), zero where an element was dropped. `strides`:
// those that both kinds of bits were packed by.
constexpr const char* kDroppedBackwardSchema =
    "_activation_dropped_backward(Tensor grad_output, Tensor dropped, Tensor kept, Tensor? branch, "
    "SymInt[] strides, float p, str function, float[] parameters) -> Tensor";

/// Of a function with a branch bit.
at::Tensor activation_dropped_bits(const at::Tensor& self, const at::Tensor& dropped,
                                   const at::Tensor& kept, double p,
                                   const ActivationFunction& function);

at::Tensor activation_dropped_backward(const at::Tensor& grad_output, const at::Tensor& dropped,
                                       const at::Tensor& kept,
                                       const std::optional<at::Tensor>& branch,
                                       c10::SymIntArrayRef strides, double p,
                                       const ActivationFunction& function);

}  // namespace invact::kernels
