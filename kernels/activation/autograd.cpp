// What each activation saves and why. Instead of its input, the node saves its output, whose
// storage the next layer saves anyway, and, for a function that is not monotone, one bit per
// element that says on which side of the function's minimum the input lay. Nothing is saved when no
// gradient is asked for.
#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <c10/util/FunctionRef.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/activation/activation_function.h"
#include "kernels/activation/internal_operators.h"
#include "kernels/activation/operators.h"
#include "kernels/activation/saved_function.h"
#include "kernels/memory_layout.h"
#include "kernels/refusals.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Saves what backward needs; no `branch` for a function without a branch bit.
void remember(AutogradContext* ctx, const char* op, const ActivationFunction& function,
              const at::Tensor& output, const std::optional<at::Tensor>& branch,
              c10::SymIntArrayRef strides) {
  if (branch) {
    ctx->save_for_backward({output, *branch});
  } else {
    ctx->save_for_backward({output});
  }
  save_function(ctx, op, function, strides);
}

/// A gradient that equals ATen's, as relu6's does, lies in memory as ATen's as well.
at::Tensor input_gradient(const at::Tensor& grad_output, const at::Tensor& output,
                          const std::optional<at::Tensor>& branch, c10::SymIntArrayRef strides,
                          const ActivationFunction& function) {
  at::Tensor gradient = activation_backward(grad_output, output, branch, strides, function);
  const bool is_exact = std::holds_alternative<math::Hardtanh>(function);
  return is_exact ? laid_out_as_by_aten(std::move(gradient), grad_output) : gradient;
}

/// grad_output * f'(output, branch) as a node of its own: linear in grad_output, so that any order
/// of differentiation works along it. Its derivative along `output` would need f'' and does not
/// exist here.
struct Gradient : Function<Gradient> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& grad_output,
                            const at::Tensor& output, const std::optional<at::Tensor>& branch,
                            c10::SymIntArrayRef strides, const std::string& op,
                            const ActivationFunction& function) {
    at::AutoDispatchBelowADInplaceOrView guard;
    remember(ctx, op.c_str(), function, output, branch, strides);
    return input_gradient(grad_output, output, branch, strides, function);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads);
};

/// The gradient of the input, by what remember() saved.
at::Tensor differentiate(AutogradContext* ctx, const at::Tensor& grad_output) {
  if (!grad_output.defined()) return {};
  const variable_list saved = ctx->get_saved_variables();
  const auto branch = saved.size() > 1 ? std::optional(saved[1]) : std::nullopt;
  const auto [op, function, strides] = saved_function(ctx);
  if (torch::autograd::GradMode::is_enabled()) {
    return Gradient::apply(grad_output, saved[0], branch, strides, op, function);
  }
  return input_gradient(grad_output, saved[0], branch, strides, function);
}

variable_list Gradient::backward(AutogradContext* ctx, const variable_list& grads) {
  constexpr size_t kOutputEdge = 1;
  constexpr size_t kArguments = 6;
  refuse_second_derivative(ctx, kOutputEdge);
  variable_list result(kArguments);
  result[0] = differentiate(ctx, grads[0]);
  return result;
}

/// ATen's operator with its parameters bound.
using Aten = c10::function_ref<at::Tensor(const at::Tensor&)>;
using AtenInPlace = c10::function_ref<void(at::Tensor&)>;

/// A function with a branch bit has its forward in one pass with the bits instead of ATen's.
struct OutOfPlace : Function<OutOfPlace> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& self, const char* op,
                            const ActivationFunction& function, Aten aten) {
    at::AutoDispatchBelowADInplaceOrView guard;
    at::Tensor output;
    std::optional<at::Tensor> branch;
    if (branch_bits(function) > 0) {
      std::tie(output, branch) = activation_forward(self, function);
    } else {
      output = aten(self);
    }
    remember(ctx, op, function, output, branch, output.sym_strides());
    return output;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {differentiate(ctx, grads[0]), {}, {}, {}};
  }
};

struct InPlace : Function<InPlace> {
  static at::Tensor forward(AutogradContext* ctx, at::Tensor self, const char* op,
                            const ActivationFunction& function, AtenInPlace aten) {
    at::AutoDispatchBelowADInplaceOrView guard;
    std::optional<at::Tensor> branch;
    if (branch_bits(function) > 0) {
      // The bits come from input and output together, so the output is made apart and copied in:
      // what ATen's in-place form does for autograd as well, only that it saves its copy.
      at::Tensor output;
      std::tie(output, branch) = activation_forward(self, function);
      self.copy_(output);
    } else {
      aten(self);
    }
    ctx->mark_dirty({self});
    remember(ctx, op, function, self, branch, self.sym_strides());
    return self;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {differentiate(ctx, grads[0]), {}, {}, {}};
  }
};

template <class Operator, class = typename Operator::ParameterTypes>
struct Autograd;

template <class Operator, class... P>
struct Autograd<Operator, Parameters<P...>> {
  static bool needs_gradient(const at::Tensor& self) {
    refuse_forward_mode(Operator::kName, {self});
    return torch::autograd::GradMode::is_enabled() && self.requires_grad();
  }

  static at::Tensor call(const at::Tensor& self, P... parameters) {
    if (!needs_gradient(self)) return Operator::aten(self, parameters...);
    const ActivationFunction function = Operator::function(parameters...);
    // Parameters for which the output does not determine the derivative: ATen's own, which saves
    // the input.
    if (!is_invertible(function)) return Operator::aten(self, parameters...);
    const auto aten = [&](const at::Tensor& tensor) {
      return Operator::aten(tensor, parameters...);
    };
    return OutOfPlace::apply(self, Operator::kName, function, Aten(aten));
  }

  static at::Tensor& call_(at::Tensor& self, P... parameters) {
    if (!needs_gradient(self)) return Operator::aten_(self, parameters...);
    const ActivationFunction function = Operator::function(parameters...);
    if (!is_invertible(function)) return Operator::aten_(self, parameters...);
    torch::autograd::check_inplace(self, /*requires_grad=*/true);
    if (self.is_view() || !self.is_non_overlapping_and_dense()) {
      // An output that is a view and saved by its own node would keep itself alive (a cycle through
      // its base's history); memory that is not dense has no order for the bits.
      return self.copy_(call(self, parameters...));
    }
    const auto aten = [&](at::Tensor& tensor) { Operator::aten_(tensor, parameters...); };
    InPlace::apply(self, Operator::kName, function, AtenInPlace(aten));
    return self;
  }
};

template <class Operator>
constexpr bool has_in_place_form() {
  return requires {
    &Operator::aten_;
  };
}

template <class Operator>
void register_autograd(torch::Library& m) {
  m.impl(Operator::kName, &Autograd<Operator>::call);
  if constexpr (has_in_place_form<Operator>()) {
    m.impl((std::string(Operator::kName) + "_").c_str(), &Autograd<Operator>::call_);
  }
}

/// As ATen's own: on CUDA autocast computes softplus, alone of all these, in float32.
at::Tensor autocast_softplus(const at::Tensor& self, const at::Scalar& beta,
                             const at::Scalar& threshold) {
  const c10::impl::ExcludeDispatchKeyGuard guard(c10::DispatchKey::AutocastCUDA);
  static const auto handle =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("invact::softplus", "")
          .typed<at::Tensor(const at::Tensor&, const at::Scalar&, const at::Scalar&)>();
  return handle.call(at::autocast::cached_cast(at::kFloat, self, c10::DeviceType::CUDA), beta,
                     threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
#define INVACT_REGISTER(Operator) register_autograd<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

TORCH_LIBRARY_IMPL(invact, AutocastCUDA, m) {
  m.impl("softplus", &autocast_softplus);
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
#define INVACT_REGISTER(Operator)     \
  refuse_vmap_of(m, Operator::kName); \
  if (has_in_place_form<Operator>()) refuse_vmap_of(m, std::string(Operator::kName) + "_");
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
  refuse_vmap_of(m, "_activation_forward");
  refuse_vmap_of(m, "_activation_backward");
}

}  // namespace invact::kernels
