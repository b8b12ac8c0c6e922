// The norms under test beside ATen's, and the tensors they are tried on.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace invact::testing {

using OptionalTensor = std::optional<at::Tensor>;

struct NormCase {
  using Call = std::function<at::Tensor(const at::Tensor& input, at::IntArrayRef normalized_shape,
                                        const OptionalTensor& weight, const OptionalTensor& bias)>;
  std::string name;  ///< Of the operator: "layer_norm".
  bool has_bias;
  Call invact;
  Call aten;
};

const std::vector<NormCase>& norm_cases();

/// What a norm is called with.
struct NormInputs {
  std::string name;
  at::Tensor input;
  std::vector<int64_t> normalized_shape;
  at::Tensor weight;  ///< Undefined: none.
  at::Tensor bias;

  OptionalTensor given_weight() const { return given(weight); }
  OptionalTensor given_bias() const { return given(bias); }
  /// The same numbers as leaves that require gradients.
  NormInputs tracked() const;
  NormInputs to(at::ScalarType dtype) const;

 private:
  static OptionalTensor given(const at::Tensor& tensor) {
    return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
  }
};

at::Tensor call(const NormCase::Call& norm, const NormInputs& inputs);

/// Weights in [0.5, 1.5], biases in [-1, 1]: the output determines x_hat in every dtype.
NormInputs norm_inputs(at::IntArrayRef sizes, int64_t normalized_dims, at::ScalarType dtype,
                       bool has_weight = true, bool has_bias = true);

/// Every layout that matters: odd, empty, one column, one row, many rows, long rows, several
/// normalized dimensions, strided, transposed, expanded, channels-last; with and without weight and
/// bias, and with parameters of float32 under 16-bit inputs.
std::vector<NormInputs> norm_layouts(at::ScalarType dtype, bool has_bias);

/// Gradients of <output, grad_output> of input, weight and bias; undefined where there is none.
std::array<at::Tensor, 3> norm_gradients(const at::Tensor& output, const NormInputs& inputs,
                                         const at::Tensor& grad_output);

/// Bit for bit, where `found` has a gradient.
void expect_same_gradients(const std::array<at::Tensor, 3>& found,
                           const std::array<at::Tensor, 3>& expected);

/// Norm of the difference over the norm of `expected`, in float64.
double relative_distance(const at::Tensor& found, const at::Tensor& expected);

}  // namespace invact::testing
