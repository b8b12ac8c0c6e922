#include "tests/kernels/op_cases.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "kernels/catalog.h"
#include "kernels/ops.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = {
      {"Gelu", "aten::gelu", "none", [](const at::Tensor& x) { return invact::gelu(x); },
       [](const at::Tensor& x) { return at::gelu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::gelu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::gelu_(x); }},
      {"GeluTanh", "aten::gelu", "tanh",
       [](const at::Tensor& x) { return invact::gelu(x, "tanh"); },
       [](const at::Tensor& x) { return at::gelu(x, "tanh"); },
       [](at::Tensor& x) -> at::Tensor& { return invact::gelu_(x, "tanh"); },
       [](at::Tensor& x) -> at::Tensor& { return at::gelu_(x, "tanh"); }},
      {"Silu", "aten::silu", "", [](const at::Tensor& x) { return invact::silu(x); },
       [](const at::Tensor& x) { return at::silu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::silu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::silu_(x); }},
  };
  return cases;
}

at::Tensor normal(at::IntArrayRef sizes, at::ScalarType dtype, at::Device device) {
  at::manual_seed(11);
  return at::randn(sizes, at::TensorOptions(at::kFloat)).mul_(2).to(device, dtype);
}

std::vector<LayoutCase> layout_cases(at::ScalarType dtype, at::Device device) {
  const auto make = [&](at::IntArrayRef sizes) { return normal(sizes, dtype, device); };
  const at::Tensor base = make({12, 18});
  return {
      {"odd", make({7, 13})},
      {"one", make({1})},
      {"0-d", make({})},
      {"empty", make({0, 5})},
      {"whole bytes", make({8, 32})},
      {"threads", make({(1 << 16) + 3})},
      {"many threads", make({37, 1 << 13})},
      {"transposed", base.t()},
      {"strided", base.slice(1, 0, 18, 3)},
      {"strided rows", base.slice(0, 1, 12, 2)},
      {"unaligned", make({1025}).slice(0, 1)},
      {"expanded", make({5, 1}).expand({5, 9})},
      {"scalar expanded", make({}).expand({3, 4})},
      {"channels last", make({2, 5, 3, 4}).contiguous(at::MemoryFormat::ChannelsLast)},
      {"channels last, one channel", make({2, 1, 3, 4}).contiguous(at::MemoryFormat::ChannelsLast)},
      {"channels last 3d", make({2, 3, 2, 3, 2}).contiguous(at::MemoryFormat::ChannelsLast3d)},
      {"permuted", make({3, 4, 5}).permute({2, 0, 1})},
  };
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  if (a.numel() == 0) return true;
  const at::ScalarType bits = a.element_size() == 8   ? at::kLong
                              : a.element_size() == 4 ? at::kInt
                                                      : at::kShort;
  return at::equal(a.detach().contiguous().view(bits), b.detach().contiguous().view(bits));
}

at::Tensor gradient(const at::Tensor& output, const at::Tensor& input,
                    const at::Tensor& grad_output) {
  return torch::autograd::grad({output}, {input}, {grad_output}, /*retain_graph=*/true)[0];
}

double gradient_tolerance(const OpCase& op, at::ScalarType dtype, double largest_grad_output) {
  const kernels::DerivativeErrorBound& bound =
      kernels::find_activation(op.aten_op, op.variant)->error_bound;
  double derivative = bound.float64;
  double relative = 0x1p-50;
  if (dtype == at::kFloat) {
    derivative = std::max(bound.float32, kErfGeluForwardMax);
    relative = 0x1p-20;
  } else if (dtype == at::kBFloat16) {
    derivative = bound.bfloat16;
    relative = 0x1p-7;
  } else if (dtype == at::kHalf) {
    derivative = bound.float16;
    relative = 0x1p-10;
  } else {
    // ATen's float64 y is off by a few ulp: at the minimum that is worth sqrt(2 f'' dy).
    derivative = 10 * bound.float64;
  }
  return largest_grad_output * (derivative + 1.2 * relative);
}

}  // namespace invact::testing
