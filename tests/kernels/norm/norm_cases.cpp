#include "tests/kernels/norm/norm_cases.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/ops.h"
#include "tests/kernels/activation/op_cases.h"

namespace invact::testing {

const std::vector<NormCase>& norm_cases() {
  using Tensor = at::Tensor;
  using Shape = at::IntArrayRef;
  static const std::vector<NormCase> cases = {
      {"layer_norm", true,
       [](const Tensor& x, Shape shape, const OptionalTensor& w, const OptionalTensor& b) {
         return invact::layer_norm(x, c10::fromIntArrayRefSlow(shape), w, b);
       },
       [](const Tensor& x, Shape shape, const OptionalTensor& w, const OptionalTensor& b) {
         return at::layer_norm(x, shape, w, b);
       }},
      {"rms_norm", false,
       [](const Tensor& x, Shape shape, const OptionalTensor& w, const OptionalTensor&) {
         return invact::rms_norm(x, c10::fromIntArrayRefSlow(shape), w, 1e-6);
       },
       [](const Tensor& x, Shape shape, const OptionalTensor& w, const OptionalTensor&) {
         return at::rms_norm(x, shape, w, 1e-6);
       }},
  };
  return cases;
}

NormInputs NormInputs::tracked() const {
  NormInputs result = *this;
  for (at::Tensor* tensor : {&result.input, &result.weight, &result.bias}) {
    if (tensor->defined()) *tensor = tensor->detach().requires_grad_();
  }
  return result;
}

NormInputs NormInputs::to(at::ScalarType dtype) const {
  NormInputs result = *this;
  for (at::Tensor* tensor : {&result.input, &result.weight, &result.bias}) {
    if (tensor->defined()) *tensor = tensor->detach().to(dtype);
  }
  return result;
}

at::Tensor call(const NormCase::Call& norm, const NormInputs& inputs) {
  return norm(inputs.input, inputs.normalized_shape, inputs.given_weight(), inputs.given_bias());
}

NormInputs norm_inputs(at::IntArrayRef sizes, int64_t normalized_dims, at::ScalarType dtype,
                       bool has_weight, bool has_bias) {
  NormInputs inputs;
  inputs.name = "sizes " + c10::str(sizes);
  inputs.input = normal(sizes, dtype);
  inputs.normalized_shape.assign(sizes.end() - normalized_dims, sizes.end());
  at::manual_seed(7);
  if (has_weight) inputs.weight = at::rand(inputs.normalized_shape).add_(0.5).to(dtype);
  if (has_bias) inputs.bias = at::rand(inputs.normalized_shape).mul_(2).sub_(1).to(dtype);
  return inputs;
}

std::vector<NormInputs> norm_layouts(at::ScalarType dtype, bool has_bias) {
  std::vector<NormInputs> layouts;
  const auto add = [&](at::IntArrayRef sizes, int64_t dims) {
    layouts.push_back(norm_inputs(sizes, dims, dtype, true, has_bias));
  };
  const auto add_view = [&](const std::string& name, const at::Tensor& view) {
    NormInputs inputs = norm_inputs(view.sizes(), 1, dtype, true, has_bias);
    inputs.name = name;
    inputs.input = view;
    layouts.push_back(inputs);
  };
  add({7, 13}, 1);
  add({0, 5}, 1);
  add({3, 0}, 1);
  add({5, 1}, 1);
  add({33}, 1);
  add({1, 4099}, 1);
  add({1000, 16}, 1);
  add({129, 256}, 1);
  add({2, 3, 4, 5}, 2);
  add({6, 10}, 2);
  layouts.push_back(norm_inputs({9, 24}, 1, dtype, false, false));
  layouts.back().name += ", no weight";
  layouts.push_back(norm_inputs({9, 24}, 1, dtype, true, false));
  layouts.back().name += ", no bias";
  if (has_bias) {
    layouts.push_back(norm_inputs({9, 24}, 1, dtype, false, true));
    layouts.back().name += ", bias alone";
  }
  const auto make = [&](at::IntArrayRef sizes) { return normal(sizes, dtype); };
  add_view("transposed", make({12, 18}).t());
  add_view("strided", make({12, 18}).slice(1, 0, 18, 3));
  add_view("strided rows", make({12, 18}).slice(0, 1, 12, 2));
  add_view("expanded", make({1, 24}).expand({5, 24}));
  add_view("channels last", make({2, 5, 3, 4}).contiguous(at::MemoryFormat::ChannelsLast));
  add_view("heads", make({2, 5, 3, 8}).transpose(1, 2));
  if (dtype == at::kBFloat16 || dtype == at::kHalf) {
    layouts.push_back(norm_inputs({9, 24}, 1, at::kFloat, true, has_bias));
    layouts.back().name += ", float32 parameters";
    layouts.back().input = layouts.back().input.to(dtype);
  }
  return layouts;
}

std::array<at::Tensor, 3> norm_gradients(const at::Tensor& output, const NormInputs& inputs,
                                         const at::Tensor& grad_output) {
  std::array<at::Tensor, 3> result;
  const at::Tensor* const tensors[] = {&inputs.input, &inputs.weight, &inputs.bias};
  torch::autograd::variable_list wanted;
  for (const at::Tensor* tensor : tensors) {
    if (tensor->defined() && tensor->requires_grad()) wanted.push_back(*tensor);
  }
  const auto found = torch::autograd::grad({output}, wanted, {grad_output}, /*retain_graph=*/true);
  for (size_t i = 0, next = 0; i < result.size(); ++i) {
    if (tensors[i]->defined() && tensors[i]->requires_grad()) result[i] = found[next++];
  }
  return result;
}

void expect_same_gradients(const std::array<at::Tensor, 3>& found,
                           const std::array<at::Tensor, 3>& expected) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i].defined()) {
      EXPECT_TRUE(same_bits(found[i], expected[i])) << i;
    }
  }
}

double relative_distance(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor reference = expected.to(at::kDouble);
  const double distance = (found.to(at::kDouble) - reference).norm().item<double>();
  const double norm = reference.norm().item<double>();
  return norm == 0 ? distance : distance / norm;
}

}  // namespace invact::testing
