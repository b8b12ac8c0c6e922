// The operators behind dropout, and behind dropout of an activation. Public ones stand on those
// with autograd, which are for 0 < p < 1 and something to drop; these stand on the ones below
// autograd: the forward with its bits, and the gradient from the bits. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymIntArrayRef.h>

#include <optional>
#include <tuple>

#include "kernels/activation/activation_function.h"

namespace invact::kernels {

constexpr const char* kDropoutSchema = "_dropout(Tensor input, float p) -> Tensor";
constexpr const char* kDropoutInPlaceSchema = "_dropout_(Tensor(a!) self, float p) -> Tensor(a!)";

// `kept`: uint8, ceil(n / 8) bytes; element i of the memory order of at::empty_like(input) is bit i
// % 8 of byte i / 8, one where it was kept and zero where it was dropped. Random numbers are drawn
// as by ATen's dropout, and in place as by its dropout_.
constexpr const char* kDropoutForwardSchema =
    "_dropout_forward(Tensor input, float p) -> (Tensor output, Tensor kept)";
constexpr const char* kDropoutForwardInPlaceSchema =
    "_dropout_forward_(Tensor(a!) self, float p) -> Tensor kept";
// `strides`: those of at::empty_like(input). On a GPU, as by ATen, a kept element is scaled by
// another rounding of 1 / (1 - p) in place than out of place.
constexpr const char* kDropoutBackwardSchema =
    "_dropout_backward(Tensor grad_output, Tensor kept, SymInt[] strides, float p, bool "
    "in_place) -> Tensor";
// The dropout that drew `kept`, in the second run of a recompute segment: the same bits of output.
constexpr const char* kDropoutAgainSchema =
    "_dropout_again(Tensor input, Tensor kept, float p, bool in_place) -> Tensor";

std::tuple<at::Tensor, at::Tensor> dropout_forward(const at::Tensor& input, double p);
at::Tensor dropout_forward_(at::Tensor& self, double p);
at::Tensor dropout_backward(const at::Tensor& grad_output, const at::Tensor& kept,
                            c10::SymIntArrayRef strides, double p, bool in_place);

/// @throws c10::Error where `kept` is not the bits of as many elements.
void check_kept(const at::Tensor& grad_output, const at::Tensor& kept);

/// The factor of an out-of-place dropout, rounded as ATen rounds it on that device.
double dropout_scale(c10::DeviceType device, c10::ScalarType dtype, double p);

// The public operators, out of these and of ATen's where nothing is drawn.
at::Tensor dropout(const at::Tensor& input, double p, bool train);
at::Tensor& dropout_(at::Tensor& self, double p, bool train);

// Dropout of an activation, invact::NAME_dropout. The branch bits are those of
// internal_operators.h, in the memory order of `dropped`; the bit of a dropped element says
// nothing. On the CPU float32's refinement codes are for the outputs that the gradient will recover
// from `dropped`. `kept` is that of _dropout_forward.
constexpr const char* kDroppedBitsSchema =
    "_activation_dropped_bits(Tensor self, Tensor dropped, Tensor kept, float p, str function) -> "
    "Tensor";
// grad_output times dropout's factor times f'(x), zero where an element was dropped. `strides`:
// those that both kinds of bits were packed by.
constexpr const char* kDroppedBackwardSchema =
    "_activation_dropped_backward(Tensor grad_output, Tensor dropped, Tensor kept, Tensor? branch, "
    "SymInt[] strides, float p, str function, float[] parameters) -> Tensor";

/// For a function with a branch bit.
at::Tensor activation_dropped_bits(const at::Tensor& self, const at::Tensor& dropped,
                                   const at::Tensor& kept, double p,
                                   const ActivationFunction& function);

at::Tensor activation_dropped_backward(const at::Tensor& grad_output, const at::Tensor& dropped,
                                       const at::Tensor& kept,
                                       const std::optional<at::Tensor>& branch,
                                       c10::SymIntArrayRef strides, double p,
                                       const ActivationFunction& function);

/// How f'(x) is recovered from z = dropout(f(x)) of a kept element: it is the derivative of
/// `function` by the output z / divisor, rounded to the dtype.
///
/// The quotient is y = f(x) itself wherever scaling did not bring two numbers of the dtype
/// together, and at most a unit in the last place from it elsewhere. That is as good as y except
/// where f' jumps at an output that many inputs share. There the quotient is compared with what
/// dropout makes of that output, and an output just below it that becomes the same z counts as it.
struct Recovery {
  double divisor;
  ActivationFunction function;
};

Recovery recovery(const ActivationFunction& function, c10::DeviceType device, c10::ScalarType dtype,
                  double p);

}  // namespace invact::kernels
