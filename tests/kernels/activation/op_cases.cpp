#include "tests/kernels/activation/op_cases.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "kernels/catalog.h"
#include "kernels/ops.h"
#include "tests/kernels/tolerances.h"

namespace invact::testing {

const kernels::Activation& OpCase::row() const {
  for (const auto rows : {kernels::activations(), kernels::written_out_activations()}) {
    for (const kernels::Activation& row : rows) {
      if (row.invact_op == op && row.variant == variant) return row;
    }
  }
  throw std::logic_error("no catalog row for " + op);
}

const OpCase& op_case(const std::string& name) {
  for (const OpCase& op : op_cases()) {
    if (op.name == name) return op;
  }
  throw std::logic_error("no operator case " + name);
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = {
      {"Gelu", "invact::gelu", "none", [](const at::Tensor& x) { return invact::gelu(x); },
       [](const at::Tensor& x) { return at::gelu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::gelu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::gelu_(x); }},
      {"ErfGelu", "invact::erf_gelu", "", [](const at::Tensor& x) { return invact::erf_gelu(x); },
       [](const at::Tensor& x) {
         if (at::isReducedFloatingType(x.scalar_type())) return at::gelu(x);
         return x * 0.5 * (1 + at::erf(x / std::numbers::sqrt2));
       },
       nullptr, nullptr},
      {"GeluTanh", "invact::gelu", "tanh",
       [](const at::Tensor& x) { return invact::gelu(x, "tanh"); },
       [](const at::Tensor& x) { return at::gelu(x, "tanh"); },
       [](at::Tensor& x) -> at::Tensor& { return invact::gelu_(x, "tanh"); },
       [](at::Tensor& x) -> at::Tensor& { return at::gelu_(x, "tanh"); }},
      {"Silu", "invact::silu", "", [](const at::Tensor& x) { return invact::silu(x); },
       [](const at::Tensor& x) { return at::silu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::silu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::silu_(x); }},
      {"Mish", "invact::mish", "", [](const at::Tensor& x) { return invact::mish(x); },
       [](const at::Tensor& x) { return at::mish(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::mish_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::mish_(x); }},
      {"QuickGelu", "invact::quick_gelu", "",
       [](const at::Tensor& x) { return invact::quick_gelu(x); },
       [](const at::Tensor& x) { return x * at::sigmoid(1.702 * x); }, nullptr, nullptr},
      {"Hardswish", "invact::hardswish", "",
       [](const at::Tensor& x) { return invact::hardswish(x); },
       [](const at::Tensor& x) { return at::hardswish(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::hardswish_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::hardswish_(x); }},
      {"Elu", "invact::elu", "", [](const at::Tensor& x) { return invact::elu(x); },
       [](const at::Tensor& x) { return at::elu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::elu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::elu_(x); }},
      {"ScaledElu", "invact::elu", "",
       [](const at::Tensor& x) { return invact::elu(x, 0.75, 1.5, 0.5); },
       [](const at::Tensor& x) { return at::elu(x, 0.75, 1.5, 0.5); },
       [](at::Tensor& x) -> at::Tensor& { return invact::elu_(x, 0.75, 1.5, 0.5); },
       [](at::Tensor& x) -> at::Tensor& { return at::elu_(x, 0.75, 1.5, 0.5); }},
      {"Celu", "invact::celu", "", [](const at::Tensor& x) { return invact::celu(x, 0.75); },
       [](const at::Tensor& x) { return at::celu(x, 0.75); },
       [](at::Tensor& x) -> at::Tensor& { return invact::celu_(x, 0.75); },
       [](at::Tensor& x) -> at::Tensor& { return at::celu_(x, 0.75); }},
      {"Selu", "invact::selu", "", [](const at::Tensor& x) { return invact::selu(x); },
       [](const at::Tensor& x) { return at::selu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::selu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::selu_(x); }},
      {"Softplus", "invact::softplus", "", [](const at::Tensor& x) { return invact::softplus(x); },
       [](const at::Tensor& x) { return at::softplus(x); }, nullptr, nullptr},
      {"LogSigmoid", "invact::log_sigmoid", "",
       [](const at::Tensor& x) { return invact::log_sigmoid(x); },
       [](const at::Tensor& x) { return at::log_sigmoid(x); }, nullptr, nullptr},
      {"Softsign", "invact::softsign", "", [](const at::Tensor& x) { return invact::softsign(x); },
       [](const at::Tensor& x) { return x / (x.abs() + 1); }, nullptr, nullptr},
      {"LeakyRelu", "invact::leaky_relu", "",
       [](const at::Tensor& x) { return invact::leaky_relu(x); },
       [](const at::Tensor& x) { return at::leaky_relu(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::leaky_relu_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::leaky_relu_(x); }},
      {"Hardsigmoid", "invact::hardsigmoid", "",
       [](const at::Tensor& x) { return invact::hardsigmoid(x); },
       [](const at::Tensor& x) { return at::hardsigmoid(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::hardsigmoid_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::hardsigmoid_(x); }},
      {"Hardtanh", "invact::hardtanh", "", [](const at::Tensor& x) { return invact::hardtanh(x); },
       [](const at::Tensor& x) { return at::hardtanh(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::hardtanh_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::hardtanh_(x); }},
      {"Relu6", "invact::relu6", "", [](const at::Tensor& x) { return invact::relu6(x); },
       [](const at::Tensor& x) { return at::relu6(x); },
       [](at::Tensor& x) -> at::Tensor& { return invact::relu6_(x); },
       [](at::Tensor& x) -> at::Tensor& { return at::relu6_(x); }},
      {"SquaredRelu", "invact::squared_relu", "",
       [](const at::Tensor& x) { return invact::squared_relu(x); },
       [](const at::Tensor& x) { return at::square(at::relu(x)); }, nullptr, nullptr},
  };
  return cases;
}

namespace {

template <class Holds>
std::vector<size_t> cases_where(const Holds& holds) {
  std::vector<size_t> indices;
  for (size_t i = 0; i < op_cases().size(); ++i) {
    if (holds(op_cases()[i])) indices.push_back(i);
  }
  return indices;
}

}  // namespace

double error_bound(const OpCase& op, ElementType type) {
  const kernels::DerivativeErrorBound& bounds = op.row().error_bound;
  switch (type) {
    case ElementType::kFloat64:
      return bounds.float64;
    case ElementType::kFloat32:
      return bounds.float32;
    case ElementType::kBFloat16:
      return bounds.bfloat16;
    case ElementType::kFloat16:
      return bounds.float16;
  }
  return 0;
}

std::vector<size_t> in_place_cases() {
  return cases_where([](const OpCase& op) { return op.invact_in_place != nullptr; });
}

std::vector<size_t> branched_cases() {
  return cases_where([](const OpCase& op) { return op.has_branch_bit(); });
}

std::vector<size_t> monotone_cases() {
  return cases_where([](const OpCase& op) { return !op.has_branch_bit() && !op.is_written_out(); });
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

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.detach().requires_grad_();
}

int64_t next_random() {
  return at::randint(std::numeric_limits<int64_t>::max(), {1}, at::kLong).item<int64_t>();
}

at::ScalarType scalar_type(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return at::kDouble;
    case ElementType::kFloat32:
      return at::kFloat;
    case ElementType::kBFloat16:
      return at::kBFloat16;
    case ElementType::kFloat16:
      return at::kHalf;
  }
  return at::kFloat;
}

std::vector<double> to_vector(const at::Tensor& tensor) {
  const at::Tensor doubles = tensor.to(at::kDouble).contiguous();
  return {doubles.const_data_ptr<double>(), doubles.const_data_ptr<double>() + doubles.numel()};
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
  const kernels::DerivativeErrorBound& bound = op.row().error_bound;
  double derivative = bound.float64;
  double relative = 0x1p-50;
  if (dtype == at::kFloat) {
    derivative = op.has_branch_bit() ? std::max(bound.float32, kErfGeluForwardMax) : bound.float32;
    relative = 0x1p-20;
  } else if (dtype == at::kBFloat16) {
    derivative = bound.bfloat16;
    relative = 0x1p-7;
  } else if (dtype == at::kHalf) {
    derivative = bound.float16;
    relative = 0x1p-10;
  } else if (op.name == "Hardsigmoid") {
    derivative = kFloatSixth;
  } else if (op.has_branch_bit()) {
    // ATen's float64 y is off by a few ulp: at the minimum that is worth sqrt(2 f'' dy).
    derivative = 10 * bound.float64;
  }
  // Three roundings where ATen's operators have one, in y and in ATen's gradient.
  const double roundings = op.is_written_out() ? 3 : 1;
  // A correctly rounded y is half an ulp off, ATen's up to two.
  const double outputs = op.has_branch_bit() ? 1 : 4;
  const double largest_derivative = op.name == "SquaredRelu" ? kLargestSquaredReluDerivative : 1;
  return largest_grad_output * largest_derivative * roundings *
         (outputs * derivative + 1.2 * relative);
}

}  // namespace invact::testing
