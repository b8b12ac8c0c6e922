// Shapes, strides and dtypes without data, for FakeTensor and torch.compile; sizes may be symbolic.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include <optional>
#include <string_view>
#include <tuple>

#include "kernels/aten_forward.h"
#include "kernels/device_kernels.h"

namespace invact::kernels {
namespace {

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, std::string_view name) {
  const ActivationFunction function = checked_function(name);
  at::Tensor output = aten_forward(function, self);
  at::Tensor branch = at::empty_symint({branch_byte_count(function, output.sym_numel())},
                                       output.options().dtype(at::kByte));
  return {std::move(output), std::move(branch)};
}

at::Tensor backward(const at::Tensor&, const at::Tensor& output, const std::optional<at::Tensor>&,
                    c10::SymIntArrayRef strides, std::string_view, at::ArrayRef<double>) {
  return at::empty_strided_symint(output.sym_sizes(), strides, output.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Meta, m) {
  m.impl("_activation_forward", &forward);
  m.impl("_activation_backward", &backward);
}

}  // namespace invact::kernels
