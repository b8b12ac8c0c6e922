// What dropout saves: one bit per element, where ATen's saves a number or a byte. The gradient is
// ATen's bit for bit.
#include <ATen/core/Tensor.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "kernels/dropout/dropout_operators.h"
#include "kernels/memory_layout.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kProbability = "p";
constexpr const char* kStrides = "strides";
constexpr const char* kInPlace = "in_place";

void remember(AutogradContext* ctx, const at::Tensor& kept, c10::SymIntArrayRef strides, double p,
              bool in_place) {
  ctx->save_for_backward({kept});
  ctx->saved_data[kStrides] = c10::IValue(strides);
  ctx->saved_data[kProbability] = p;
  ctx->saved_data[kInPlace] = in_place;
  ctx->set_materialize_grads(false);
}

/// The strides that the bits are ordered by.
std::vector<c10::SymInt> mask_strides(const at::Tensor& input) {
  return at::empty_like(input, input.options().device(at::kMeta)).sym_strides().vec();
}

/// grad_output times what was drawn: linear, so that any order of differentiation works.
struct Gradient : Function<Gradient> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& grad_output,
                            const at::Tensor& kept, c10::SymIntArrayRef strides, double p,
                            bool in_place) {
    at::AutoDispatchBelowADInplaceOrView guard;
    remember(ctx, kept, strides, p, in_place);
    return laid_out_as_by_aten(dropout_backward(grad_output, kept, strides, p, in_place),
                               grad_output);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads);
};

at::Tensor differentiate(AutogradContext* ctx, const at::Tensor& grad_output) {
  if (!grad_output.defined()) return {};
  return Gradient::apply(
      grad_output, ctx->get_saved_variables()[0], ctx->saved_data[kStrides].toSymIntVector(),
      ctx->saved_data[kProbability].toDouble(), ctx->saved_data[kInPlace].toBool());
}

variable_list Gradient::backward(AutogradContext* ctx, const variable_list& grads) {
  return {differentiate(ctx, grads[0]), {}, {}, {}, {}};
}

struct OutOfPlace : Function<OutOfPlace> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input, double p) {
    at::AutoDispatchBelowADInplaceOrView guard;
    auto [output, kept] = dropout_forward(input, p);
    remember(ctx, kept, mask_strides(input), p, /*in_place=*/false);
    return output;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {differentiate(ctx, grads[0]), {}};
  }
};

/// Nothing of `self` is saved, so that views are no special case.
struct InPlace : Function<InPlace> {
  static at::Tensor forward(AutogradContext* ctx, at::Tensor self, double p) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor kept = dropout_forward_(self, p);
    ctx->mark_dirty({self});
    remember(ctx, kept, mask_strides(self), p, /*in_place=*/true);
    return self;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {differentiate(ctx, grads[0]), {}};
  }
};

/// A dropout with its drawing given is its own gradient.
at::Tensor dropout_again(const at::Tensor& input, const at::Tensor& kept, double p, bool in_place) {
  return Gradient::apply(input, kept, mask_strides(input), p, in_place);
}

bool needs_gradient(const at::Tensor& input) {
  refuse_forward_mode("dropout", {input});
  return torch::autograd::GradMode::is_enabled() && input.requires_grad();
}

at::Tensor dropout_with_gradient(const at::Tensor& input, double p) {
  if (!needs_gradient(input)) return at::dropout(input, p, /*train=*/true);
  return OutOfPlace::apply(input, p);
}

at::Tensor& dropout_with_gradient_(at::Tensor& self, double p) {
  if (!needs_gradient(self)) return at::dropout_(self, p, /*train=*/true);
  torch::autograd::check_inplace(self, /*requires_grad=*/true);
  InPlace::apply(self, p);
  return self;
}

at::Tensor plain_dropout(const at::Tensor& input, double p) {
  return at::dropout(input, p, /*train=*/true);
}

at::Tensor& plain_dropout_(at::Tensor& self, double p) {
  return at::dropout_(self, p, /*train=*/true);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
  m.impl("_dropout", &dropout_with_gradient);
  m.impl("_dropout_", &dropout_with_gradient_);
}

TORCH_LIBRARY_IMPL(invact, CompositeExplicitAutograd, m) {
  m.impl("_dropout", &plain_dropout);
  m.impl("_dropout_", &plain_dropout_);
}

TORCH_LIBRARY_IMPL(invact, CompositeImplicitAutograd, m) {
  m.impl("dropout", &dropout);
  m.impl("dropout_", &dropout_);
  m.impl("_dropout_again", &dropout_again);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
  for (const char* op : {"dropout", "dropout_", "_dropout", "_dropout_", "_dropout_forward",
                         "_dropout_forward_", "_dropout_backward", "_dropout_again"}) {
    refuse_vmap_of(m, op);
  }
}

}  // namespace invact::kernels
