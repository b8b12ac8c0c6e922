// The operators behind invact::dropout and dropout_: with autograd for 0 < p < 1 and something to
// drop, and below autograd the forward with its bits and the gradient from them. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>

#include <tuple>

namespace invact::kernels {

constexpr const char* kDropoutSchema = "_dropout(Tensor input, float p) -> Tensor";
constexpr const char* kDropoutInPlaceSchema = "_dropout_(Tensor(a!) self, float p) -> Tensor(a!)";

// `kept`: uint8, ceil(n / 8) bytes; element i of the memory order of at::empty_like(input) is bit i
// % 8 of byte i / 8, one where it was kept. Random numbers are drawn as by ATen's dropout, and in
// place as by its dropout_.
constexpr const char* kDropoutForwardSchema =
    "_dropout_forward(Tensor input, float p) -> (Tensor output, Tensor kept)";
constexpr const char* kDropoutForwardInPlaceSchema =
    "_dropout_forward_(Tensor(a!) self, float p) -> Tensor kept";
// `strides`: those of at::empty_like(input). On a GPU what is kept is scaled by another rounding of
// 1 / (1 - p) in place than out of place, as by ATen.
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

// The public operators, out of these and of ATen's where nothing is drawn.
at::Tensor dropout(const at::Tensor& input, double p, bool train);
at::Tensor& dropout_(at::Tensor& self, double p, bool train);

}  // namespace invact::kernels
