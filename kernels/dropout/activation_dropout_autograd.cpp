// What dropout of an activation saves: what dropout made of the output, whose storage the next
// layer saves anyway, one bit per element that says whether it was kept and, for a function that is
// not monotone, one for its branch. Today's pair saves the activation's input and dropout's mask.
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/dropout.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/activation/activation_function.h"
#include "kernels/activation/operators.h"
#include "kernels/activation/saved_function.h"
#include "kernels/dropout/dropout_operators.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kProbability = "p";

/// How an output came about, beside the tensors.
struct Call {
  const char* op;
  ActivationFunction function;
  double p;
};

/// `dropped`, then the bits in that order.
void remember(AutogradContext* ctx, const Call& call, const at::Tensor& dropped,
              const at::Tensor& kept, const std::optional<at::Tensor>& branch,
              c10::SymIntArrayRef strides) {
  if (branch) {
    ctx->save_for_backward({dropped, kept, *branch});
  } else {
    ctx->save_for_backward({dropped, kept});
  }
  save_function(ctx, call.op, call.function, strides);
  ctx->saved_data[kProbability] = call.p;
}

/// The gradient as a node of its own: linear in grad_output. Along `dropped` it would need f''.
struct Gradient : Function<Gradient> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& grad_output,
                            const at::Tensor& dropped, const at::Tensor& kept,
                            const std::optional<at::Tensor>& branch, c10::SymIntArrayRef strides,
                            const Call& call) {
    at::AutoDispatchBelowADInplaceOrView guard;
    remember(ctx, call, dropped, kept, branch, strides);
    return activation_dropped_backward(grad_output, dropped, kept, branch, strides, call.p,
                                       call.function);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads);
};

at::Tensor differentiate(AutogradContext* ctx, const at::Tensor& grad_output) {
  if (!grad_output.defined()) return {};
  const variable_list saved = ctx->get_saved_variables();
  const auto branch = saved.size() > 2 ? std::optional(saved[2]) : std::nullopt;
  const auto [op, function, strides] = saved_function(ctx);
  const Call call{op.c_str(), function, ctx->saved_data[kProbability].toDouble()};
  if (torch::autograd::GradMode::is_enabled()) {
    return Gradient::apply(grad_output, saved[0], saved[1], branch, strides, call);
  }
  return activation_dropped_backward(grad_output, saved[0], saved[1], branch, strides, call.p,
                                     call.function);
}

variable_list Gradient::backward(AutogradContext* ctx, const variable_list& grads) {
  constexpr size_t kDroppedEdge = 1;
  constexpr size_t kArguments = 6;
  refuse_second_derivative(ctx, kDroppedEdge);
  variable_list result(kArguments);
  result[0] = differentiate(ctx, grads[0]);
  return result;
}

struct OutOfPlace : Function<OutOfPlace> {
  /// `aten`: the activation, whose own output is not saved.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& self,
                            c10::function_ref<at::Tensor(const at::Tensor&)> aten,
                            const Call& call) {
    at::AutoDispatchBelowADInplaceOrView guard;
    auto [dropped, kept] = dropout_forward(aten(self), call.p);
    std::optional<at::Tensor> branch;
    if (branch_bits(call.function) > 0) {
      branch = activation_dropped_bits(self, dropped, kept, call.p, call.function);
    }
    remember(ctx, call, dropped, kept, branch, dropped.sym_strides());
    return dropped;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {differentiate(ctx, grads[0]), {}, {}};
  }
};

template <class Operator, class = typename Operator::ParameterTypes>
struct ActivationDropout;

template <class Operator, class... P>
struct ActivationDropout<Operator, Parameters<P...>> {
  static const std::string& name() {
    static const std::string full_name = std::string(Operator::kName) + "_dropout";
    return full_name;
  }

  /// The activation's own operator, for a call that saves what it saves.
  static at::Tensor activation(const at::Tensor& self, P... parameters) {
    static const auto handle =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow((std::string("invact::") + Operator::kName).c_str(), "")
            .template typed<at::Tensor(const at::Tensor&, P...)>();
    return handle.call(self, parameters...);
  }

  static at::Tensor with_gradient(const at::Tensor& self, double p, bool train, P... parameters) {
    refuse_forward_mode(name().c_str(), {self});
    if (!torch::autograd::GradMode::is_enabled() || !self.requires_grad()) {
      return plain(self, p, train, parameters...);
    }
    const bool drops_some = train && p > 0 && p < 1 && self.sym_numel() > 0;
    const ActivationFunction function = Operator::function(parameters...);
    // Where nothing or everything is dropped, and with parameters for which the output does not
    // determine the derivative, the call is two operators, each of which saves what it always
    // saves.
    if (!drops_some || !is_invertible(function)) {
      return kernels::dropout(activation(self, parameters...), p, train);
    }
    const auto aten = [&](const at::Tensor& tensor) {
      return Operator::aten(tensor, parameters...);
    };
    return OutOfPlace::apply(self, c10::function_ref<at::Tensor(const at::Tensor&)>(aten),
                             Call{name().c_str(), function, p});
  }

  static at::Tensor plain(const at::Tensor& self, double p, bool train, P... parameters) {
    return at::dropout(Operator::aten(self, parameters...), p, train);
  }

  static void register_in(torch::Library& autograd) {
    autograd.impl(name().c_str(), &with_gradient);
  }
  static void register_plain(torch::Library& m) { m.impl(name().c_str(), &plain); }
};

/// As for softplus itself (activation/autograd.cpp): on CUDA autocast computes it in float32.
at::Tensor autocast_softplus_dropout(const at::Tensor& self, double p, bool train,
                                     const at::Scalar& beta, const at::Scalar& threshold) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::AutocastCUDA);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("invact::softplus_dropout", "")
                                 .typed<at::Tensor(const at::Tensor&, double, bool,
                                                   const at::Scalar&, const at::Scalar&)>();
  return handle.call(at::autocast::cached_cast(at::kFloat, self, c10::DeviceType::CUDA), p, train,
                     beta, threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
#define INVACT_REGISTER(Operator) ActivationDropout<Operator>::register_in(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

// Inference mode has no autograd keys.
TORCH_LIBRARY_IMPL(invact, CompositeExplicitAutograd, m) {
#define INVACT_REGISTER(Operator) ActivationDropout<Operator>::register_plain(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

TORCH_LIBRARY_IMPL(invact, AutocastCUDA, m) {
  m.impl("softplus_dropout", &autocast_softplus_dropout);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
#define INVACT_REGISTER(Operator) refuse_vmap_of(m, ActivationDropout<Operator>::name());
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
  refuse_vmap_of(m, "_activation_dropped_bits");
  refuse_vmap_of(m, "_activation_dropped_backward");
}

}  // namespace invact::kernels
