// What every operator refuses by name instead of answering wrongly: forward-mode AD and vmap.
// Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <initializer_list>
#include <string>

namespace invact::kernels {

/// Whether forward-mode AD goes through it; not through an undefined one.
inline bool has_tangent(const at::Tensor& tensor) {
  return tensor.defined() && tensor._fw_grad(/*level=*/0).defined();
}

/// Undefined tensors are passed over. @throws NotImplementedError where one carries a tangent.
inline void refuse_forward_mode(const char* op, std::initializer_list<at::Tensor> inputs) {
  for (const at::Tensor& input : inputs) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        !has_tangent(input), "invact::", op,
        ": forward-mode AD (jvp) is not supported. Use ATen's operator there.");
  }
}

/// A batch rule would have to know in which order each example's bits were packed; refusing is the
/// safe answer.
inline void refuse_vmap(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, op.schema().name(),
                              ": vmap is not supported. Use ATen's operator there.");
}

inline void refuse_vmap_of(torch::Library& m, const std::string& name) {
  m.impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&refuse_vmap>());
}

}  // namespace invact::kernels
