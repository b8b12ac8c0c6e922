// What the CPU and the CUDA kernels share: bringing tensors of any strides into one memory order,
// and registration. A device gives two loops over dense tensors of equal strides:
//   static void pack(const ActivationFunction&, const at::Tensor& input, at::Tensor& branch);
//   static void refine(const ActivationFunction&, const at::Tensor& input, const at::Tensor&
//   output,
//                      at::Tensor& branch);  // may use the places of outputs above zero
//   static void backward(const ActivationFunction&, const GradientTensors&);
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <string>
#include <tuple>

#include "kernels/operators.h"

namespace invact::kernels {

/// Dense, of one dtype, size and strides, on one device; `branch` is contiguous uint8.
struct GradientTensors {
  at::Tensor grad_output;
  at::Tensor output;
  at::Tensor branch;
  at::Tensor grad_input;
};

inline int64_t branch_byte_count(int64_t element_count) {
  return (element_count + 7) / 8;
}

/// Whether two strides order the memory of a tensor of these sizes alike: those of dimensions of
/// size 1 are arbitrary.
inline bool same_memory_order(at::IntArrayRef sizes, at::IntArrayRef a, at::IntArrayRef b) {
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 1 && a[i] != b[i]) return false;
  }
  return true;
}

/// `tensor` with the given dense strides: itself where it has them, else a copy.
inline at::Tensor in_memory_order(const at::Tensor& tensor, at::IntArrayRef strides) {
  if (tensor.numel() == 0 || same_memory_order(tensor.sizes(), tensor.strides(), strides))
    return tensor;
  return at::empty_strided(tensor.sizes(), strides, tensor.options()).copy_(tensor);
}

inline at::Tensor empty_branch(const at::Tensor& like) {
  return at::empty({branch_byte_count(like.numel())}, like.options().dtype(at::kByte));
}

template <class Device>
at::Tensor gradient_from_output(const ActivationFunction& function, const at::Tensor& grad_output,
                                const at::Tensor& output, const at::Tensor& branch,
                                at::IntArrayRef strides) {
  TORCH_CHECK(grad_output.sizes() == output.sizes() && strides.size() == output.sizes().size(),
              "invact: gradient of shape ", grad_output.sizes(), " for an output of shape ",
              output.sizes());
  TORCH_CHECK(grad_output.scalar_type() == output.scalar_type(), "invact: gradient of dtype ",
              grad_output.scalar_type(), " for an output of dtype ", output.scalar_type());
  TORCH_CHECK(grad_output.device() == output.device() && branch.device() == output.device(),
              "invact: gradient, output and branch bits lie on different devices");
  TORCH_CHECK(
      branch.scalar_type() == at::kByte && branch.numel() == branch_byte_count(output.numel()),
      "invact: ", branch.numel(), " bytes of branch bits for ", output.numel(), " elements");
  at::Tensor grad_input = at::empty_strided(output.sizes(), strides, output.options());
  if (output.numel() > 0) {
    Device::backward(function, {in_memory_order(grad_output, strides),
                                in_memory_order(output, strides), branch.contiguous(), grad_input});
  }
  return grad_input;
}

template <class Device, class Operator, class = typename Operator::ParameterTypes>
struct DeviceKernels;

template <class Device, class Operator, class... P>
struct DeviceKernels<Device, Operator, Parameters<P...>> {
  static std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, P... parameters) {
    at::Tensor output = Operator::aten(self, parameters...);
    at::Tensor branch = empty_branch(output);
    if (output.numel() > 0) {
      const ActivationFunction function = Operator::function(parameters...);
      const at::Tensor input = in_memory_order(self, output.strides());
      Device::pack(function, input, branch);
      Device::refine(function, input, output, branch);
    }
    return {std::move(output), std::move(branch)};
  }

  static at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& output,
                             const at::Tensor& branch, at::IntArrayRef strides, P... parameters) {
    return gradient_from_output<Device>(Operator::function(parameters...), grad_output, output,
                                        branch, strides);
  }
};

template <class Kernels>
void register_internal(torch::Library& m, const std::string& name) {
  m.impl(("_" + name + "_forward").c_str(), &Kernels::forward);
  m.impl(("_" + name + "_backward").c_str(), &Kernels::backward);
}

}  // namespace invact::kernels
