// What a node of an activation remembers beside its tensors, and why it has no second derivative.
// Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>
#include <c10/core/SymIntArrayRef.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>
#include <vector>

#include "kernels/activation/activation_function.h"

namespace invact::kernels {

struct SavedFunction {
  std::string op;  ///< As a refusal names it: "gelu".
  ActivationFunction function;
  /// Those that bits were packed by, remembered apart from the output: a saved-tensor hook
  /// (offloading, compression) may bring it back with others.
  std::vector<c10::SymInt> strides;
};

inline void save_function(torch::autograd::AutogradContext* ctx, const char* op,
                          const ActivationFunction& function, c10::SymIntArrayRef strides) {
  ctx->saved_data["operator"] = std::string(op);
  ctx->saved_data["function"] = std::string(function_name(function));
  ctx->saved_data["parameters"] = function_parameters(function);
  ctx->saved_data["strides"] = c10::IValue(strides);
  ctx->set_materialize_grads(false);
}

inline SavedFunction saved_function(torch::autograd::AutogradContext* ctx) {
  return {ctx->saved_data["operator"].toStringRef(),
          make_function(ctx->saved_data["function"].toStringView(),
                        ctx->saved_data["parameters"].toDoubleVector()),
          ctx->saved_data["strides"].toSymIntVector()};
}

/// A gradient is linear in grad_output, but along the saved output, edge `output_edge` of its node,
/// it would need f''. @throws NotImplementedError where that is asked for.
inline void refuse_second_derivative(torch::autograd::AutogradContext* ctx, size_t output_edge) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      !ctx->needs_input_grad(output_edge), "invact::", ctx->saved_data["operator"].toStringRef(),
      ": double backward through the activation's input is not supported, because the second "
      "derivative cannot be had from the saved output. Use ATen's operator where the gradient "
      "itself is differentiated.");
}

}  // namespace invact::kernels
