#include "tests/kernels/dropout/dropout_cases.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "kernels/ops.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {

at::Tensor FusedCase::aten(const at::Tensor& x, double p) const {
  return at::dropout(op().aten(x), p, /*train=*/true);
}

const std::vector<FusedCase>& fused_cases() {
  using at::Tensor;
  static const std::vector<FusedCase> cases = {
      {"Gelu", [](const Tensor& x, double p, bool t) { return gelu_dropout(x, p, t); }, {}},
      {"ErfGelu", [](const Tensor& x, double p, bool t) { return erf_gelu_dropout(x, p, t); }, {}},
      {"GeluTanh",
       [](const Tensor& x, double p, bool t) { return gelu_dropout(x, p, t, "tanh"); },
       {}},
      {"Silu", [](const Tensor& x, double p, bool t) { return silu_dropout(x, p, t); }, {}},
      {"Mish", [](const Tensor& x, double p, bool t) { return mish_dropout(x, p, t); }, {}},
      {"QuickGelu",
       [](const Tensor& x, double p, bool t) { return quick_gelu_dropout(x, p, t); },
       {}},
      {"Hardswish",
       [](const Tensor& x, double p, bool t) { return hardswish_dropout(x, p, t); },
       {}},
      {"Elu", [](const Tensor& x, double p, bool t) { return elu_dropout(x, p, t); }, {}},
      {"ScaledElu",
       [](const Tensor& x, double p, bool t) { return elu_dropout(x, p, t, 0.75, 1.5, 0.5); },
       {}},
      {"Celu", [](const Tensor& x, double p, bool t) { return celu_dropout(x, p, t, 0.75); }, {}},
      {"Selu", [](const Tensor& x, double p, bool t) { return selu_dropout(x, p, t); }, {}},
      {"Softplus", [](const Tensor& x, double p, bool t) { return softplus_dropout(x, p, t); }, {}},
      {"LogSigmoid",
       [](const Tensor& x, double p, bool t) { return log_sigmoid_dropout(x, p, t); },
       {}},
      {"Softsign", [](const Tensor& x, double p, bool t) { return softsign_dropout(x, p, t); }, {}},
      {"LeakyRelu",
       [](const Tensor& x, double p, bool t) { return leaky_relu_dropout(x, p, t); },
       {}},
      {"Hardsigmoid",
       [](const Tensor& x, double p, bool t) { return hardsigmoid_dropout(x, p, t); },
       {1}},
      {"Hardtanh",
       [](const Tensor& x, double p, bool t) { return hardtanh_dropout(x, p, t); },
       {-1, 1}},
      {"Relu6", [](const Tensor& x, double p, bool t) { return relu6_dropout(x, p, t); }, {6}},
      {"SquaredRelu",
       [](const Tensor& x, double p, bool t) { return squared_relu_dropout(x, p, t); },
       {}},
  };
  return cases;
}

double dropout_factor(const at::TensorOptions& options, double p) {
  at::manual_seed(5);
  return at::dropout(at::ones({4096}, options), p, true).max().item<double>();
}

at::Tensor beside_jump(const FusedCase& fused, const at::Tensor& x, const at::Tensor& output,
                       double p) {
  const at::Tensor y = fused.op().aten(x.detach());
  at::Tensor beside = at::zeros_like(y, at::kBool);
  for (const double jump : fused.jumps) {
    at::manual_seed(5);
    const at::Tensor dropped = at::dropout(at::full({4096}, jump, x.options()), p, true);
    const double image = (jump < 0 ? dropped.min() : dropped.max()).item<double>();
    beside |= (output == image) & (y != jump);
  }
  // Where it jumps only the inputs at 3 themselves and their neighbours are in doubt.
  if (fused.name == "Hardswish") beside |= (y - 3).abs() <= 0x1p-5;
  return beside;
}

double fused_tolerance(const FusedCase& fused, at::ScalarType dtype, double largest_grad_output) {
  return (fused.op().has_branch_bit() ? std::sqrt(3.0) : 3.0) *
         gradient_tolerance(fused.op(), dtype, largest_grad_output);
}

}  // namespace invact::testing
