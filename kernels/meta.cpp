// Shapes, strides and dtypes without data, for FakeTensor and torch.compile; sizes may be symbolic.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include "kernels/elementwise.h"
#include "kernels/operators.h"

namespace invact::kernels {
namespace {

at::Tensor meta_branch(const at::Tensor& like) {
  return at::empty_symint({(like.sym_numel() + 7) / 8}, like.options().dtype(at::kByte));
}

template <class Operator, class = typename Operator::ParameterTypes>
struct MetaKernels;

template <class Operator, class... P>
struct MetaKernels<Operator, Parameters<P...>> {
  static std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& self, P... parameters) {
    at::Tensor output = Operator::aten(self, parameters...);
    at::Tensor branch = meta_branch(output);
    return {std::move(output), std::move(branch)};
  }
  static at::Tensor backward(const at::Tensor& grad_output, const at::Tensor& output,
                             const at::Tensor& branch, c10::SymIntArrayRef strides, P...) {
    return at::empty_strided_symint(output.sym_sizes(), strides, output.options());
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(invact, Meta, m) {
#define INVACT_REGISTER(Operator) register_internal<MetaKernels<Operator>>(m, Operator::kName);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

}  // namespace invact::kernels
