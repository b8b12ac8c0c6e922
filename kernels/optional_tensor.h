// Tensor arguments that may be missing: the dispatcher passes nothing, ATen's own functions an
// undefined tensor. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace invact::kernels {

using OptionalTensor = std::optional<at::Tensor>;

inline at::Tensor value_of(const OptionalTensor& tensor) {
  return tensor.value_or(at::Tensor());
}

/// An undefined tensor is no argument of an autograd Function, nothing is.
inline OptionalTensor given(const at::Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
}

}  // namespace invact::kernels
