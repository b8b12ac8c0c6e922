// What each operator saves and why. Instead of its input, the node keeps its output, whose storage
// the next layer keeps anyway, and one bit per element that says on which side of the function's
// minimum the input lay. Nothing is saved when no gradient is asked for. The only file with
// save_for_backward.
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "kernels/operators.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kStrides = "strides";
constexpr const char* kParameters = "parameters";

c10::IValue to_ivalue(std::string_view v) {
  return std::string(v);
}

template <class P>
P from_ivalue(const c10::IValue& v);
template <>
std::string_view from_ivalue<std::string_view>(const c10::IValue& v) {
  return v.toStringView();
}

/// Saves what backward needs. The strides are remembered apart from the output: a saved-tensor hook
/// (offloading, compression) may bring it back with others, and the bits are in the order of these.
template <class... P>
void remember(AutogradContext* ctx, const at::Tensor& output, const at::Tensor& branch,
              c10::SymIntArrayRef strides, const P&... parameters) {
  ctx->save_for_backward({output, branch});
  ctx->saved_data[kStrides] = c10::IValue(strides);
  std::vector<c10::IValue> values{to_ivalue(parameters)...};
  ctx->saved_data[kParameters] = c10::ivalue::Tuple::create(std::move(values));
  ctx->set_materialize_grads(false);
}

template <class Operator, class = typename Operator::ParameterTypes>
struct Autograd;

template <class Operator, class... P>
struct Autograd<Operator, Parameters<P...>> {
  using Internal = InternalOperators<Operator>;

  /// Calls `call(output, branch, strides, parameters...)` with what remember() kept.
  template <class Call>
  static auto with_saved(AutogradContext* ctx, const Call& call) {
    const variable_list saved = ctx->get_saved_variables();
    const std::vector<c10::SymInt> strides = ctx->saved_data[kStrides].toSymIntVector();
    const auto values = ctx->saved_data[kParameters].toTuple();
    return [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
      return call(saved[0], saved[1], strides, from_ivalue<P>(values->elements()[kIndex])...);
    }
    (std::index_sequence_for<P...>());
  }

  /// grad_output * f'(output, branch) as a node of its own: linear in grad_output, so that any
  /// order of differentiation works along it. Its derivative along `output` would need f'' and does
  /// not exist here.
  struct Gradient : Function<Gradient> {
    static at::Tensor forward(AutogradContext* ctx, const at::Tensor& grad_output,
                              const at::Tensor& output, const at::Tensor& branch,
                              c10::SymIntArrayRef strides, P... parameters) {
      at::AutoDispatchBelowADInplaceOrView guard;
      remember(ctx, output, branch, strides, parameters...);
      return Internal::backward(grad_output, output, branch, strides, parameters...);
    }

    static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
      constexpr size_t kOutputEdge = 1;
      TORCH_CHECK_NOT_IMPLEMENTED(!ctx->needs_input_grad(kOutputEdge), "invact::", Operator::kName,
                                  ": double backward through the activation's input is not "
                                  "supported, because the second derivative cannot be "
                                  "had from the saved output. Use aten::",
                                  Operator::kName, " where the gradient itself is differentiated.");
      variable_list result(4 + sizeof...(P));
      result[0] = differentiate(ctx, grads[0]);
      return result;
    }
  };

  static at::Tensor differentiate(AutogradContext* ctx, const at::Tensor& grad_output) {
    if (!grad_output.defined()) return {};
    return with_saved(ctx, [&](const at::Tensor& output, const at::Tensor& branch,
                               c10::SymIntArrayRef strides, P... parameters) {
      if (torch::autograd::GradMode::is_enabled()) {
        return Gradient::apply(grad_output, output, branch, strides, parameters...);
      }
      return Internal::backward(grad_output, output, branch, strides, parameters...);
    });
  }

  static variable_list differentiate_only_self(AutogradContext* ctx, const variable_list& grads) {
    variable_list result(1 + sizeof...(P));
    result[0] = differentiate(ctx, grads[0]);
    return result;
  }

  struct OutOfPlace : Function<OutOfPlace> {
    static at::Tensor forward(AutogradContext* ctx, const at::Tensor& self, P... parameters) {
      at::AutoDispatchBelowADInplaceOrView guard;
      auto [output, branch] = Internal::forward(self, parameters...);
      remember(ctx, output, branch, output.sym_strides(), parameters...);
      return output;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
      return differentiate_only_self(ctx, grads);
    }
  };

  struct InPlace : Function<InPlace> {
    static at::Tensor forward(AutogradContext* ctx, at::Tensor self, P... parameters) {
      at::AutoDispatchBelowADInplaceOrView guard;
      // The bits come from input and output together, so the output is made apart and copied in:
      // what ATen's in-place form does for autograd as well, only that it keeps its copy.
      const auto [output, branch] = Internal::forward(self, parameters...);
      self.copy_(output);
      ctx->mark_dirty({self});
      remember(ctx, self, branch, output.sym_strides(), parameters...);
      return self;
    }
    static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
      return differentiate_only_self(ctx, grads);
    }
  };

  static bool needs_gradient(const at::Tensor& self) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        !self._fw_grad(/*level=*/0).defined(), "invact::", Operator::kName,
        ": forward-mode AD (jvp) is not supported. Use aten::", Operator::kName, " there.");
    return torch::autograd::GradMode::is_enabled() && self.requires_grad();
  }

  static at::Tensor call(const at::Tensor& self, P... parameters) {
    if (!needs_gradient(self)) return Operator::aten(self, parameters...);
    return OutOfPlace::apply(self, parameters...);
  }

  static at::Tensor& call_(at::Tensor& self, P... parameters) {
    if (!needs_gradient(self)) return Operator::aten_(self, parameters...);
    torch::autograd::check_inplace(self, /*requires_grad=*/true);
    if (self.is_view() || !self.is_non_overlapping_and_dense()) {
      // An output that is a view and saved by its own node would keep itself alive (a cycle through
      // its base's history); memory that is not dense has no order for the bits.
      return self.copy_(OutOfPlace::apply(self, parameters...));
    }
    InPlace::apply(self, parameters...);
    return self;
  }
};

template <class Operator>
void register_autograd(torch::Library& m) {
  m.impl(Operator::kName, &Autograd<Operator>::call);
  m.impl((std::string(Operator::kName) + "_").c_str(), &Autograd<Operator>::call_);
}

/// A batch rule would have to know in which order each example's bits were packed; refusing is the
/// safe answer.
void refuse_vmap(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, op.schema().name(),
                              ": vmap is not supported. Use the aten operator there.");
}

template <class Operator>
void register_vmap_refusal(torch::Library& m) {
  const std::string name = Operator::kName;
  for (const std::string& op :
       {name, name + "_", "_" + name + "_forward", "_" + name + "_backward"}) {
    m.impl(op.c_str(), torch::CppFunction::makeFromBoxedFunction<&refuse_vmap>());
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(invact, Autograd, m) {
#define INVACT_REGISTER(Operator) register_autograd<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

TORCH_LIBRARY_IMPL(invact, FuncTorchBatched, m) {
#define INVACT_REGISTER(Operator) register_vmap_refusal<Operator>(m);
  INVACT_FOR_EACH_OPERATOR(INVACT_REGISTER)
#undef INVACT_REGISTER
}

}  // namespace invact::kernels
