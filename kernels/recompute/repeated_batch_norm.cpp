// What a batch norm that runs again keeps: as ATen's, its input, weight and statistics. The
// gradient is ATen's operator, which can be differentiated in its turn.
#include <ATen/core/Tensor.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <optional>
#include <tuple>

#include "kernels/cpu/repeated_batch_norm.h"
#include "kernels/optional_tensor.h"
#include "kernels/recompute/recompute_operators.h"

namespace invact::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr const char* kEpsilon = "eps";
constexpr const char* kHasBias = "has_bias";

struct KnownBatchNorm : Function<KnownBatchNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& input,
                            const OptionalTensor& weight, const OptionalTensor& bias,
                            const at::Tensor& mean, const at::Tensor& invstd, double eps) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor w = value_of(weight);
    const at::Tensor b = value_of(bias);
    ctx->save_for_backward({input, w, mean, invstd});
    ctx->saved_data[kEpsilon] = eps;
    ctx->saved_data[kHasBias] = b.defined();
    ctx->set_materialize_grads(false);
    return cpu::known_batch_norm({input, w, b, mean, invstd});
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    if (!grads[0].defined()) return variable_list(6);
    const variable_list saved = ctx->get_saved_variables();
    size_t edge = 0;  // those that are not there have none
    std::array<bool, 3> mask = {};
    mask[0] = ctx->needs_input_grad(edge++);
    if (saved[1].defined()) mask[1] = ctx->needs_input_grad(edge++);
    if (ctx->saved_data[kHasBias].toBool()) mask[2] = ctx->needs_input_grad(edge++);
    auto [input, weight, bias] = at::native_batch_norm_backward(
        grads[0], saved[0], saved[1], /*running_mean=*/{}, /*running_var=*/{}, saved[2], saved[3],
        /*train=*/true, ctx->saved_data[kEpsilon].toDouble(), mask);
    return {input, weight, bias, {}, {}, {}};
  }
};

}  // namespace

at::Tensor known_batch_norm(const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& mean,
                            const at::Tensor& invstd, double eps) {
  return KnownBatchNorm::apply(input, given(weight), given(bias), mean, invstd, eps);
}

}  // namespace invact::kernels
