// The operators under test beside ATen's, and the tensors they are tried on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/catalog.h"
#include "tests/kernels/math/forms.h"

namespace invact::testing {

struct OpCase {
  std::string name;     ///< As in references() or closed_references(): "Gelu", "Elu".
  std::string op;       ///< "invact::gelu".
  std::string variant;  ///< Catalog's.
  std::function<at::Tensor(const at::Tensor&)> invact;
  std::function<at::Tensor(const at::Tensor&)> aten;
  /// Null where ATen has no in-place form.
  std::function<at::Tensor&(at::Tensor&)> invact_in_place;
  std::function<at::Tensor&(at::Tensor&)> aten_in_place;

  const kernels::Activation& row() const;
  bool has_branch_bit() const { return row().branch_bits_per_element > 0; }
  /// ATen has no operator: output and gradient are those of an expression, rounded at each step.
  bool is_written_out() const { return row().aten_op.empty(); }
  /// And in 16 bit, too.
  bool rounds_each_step() const { return is_written_out() && name != "ErfGelu"; }
};

/// Those with a branch bit first, in the order of references(); then the others.
const std::vector<OpCase>& op_cases();
const OpCase& op_case(const std::string& name);

/// The catalog's bound of |f' error| for an element type.
double error_bound(const OpCase& op, ElementType type);

/// Indices of the cases that have an in-place form, of those that have a branch bit, and of those
/// without one that ATen has as operators: suites of tests that make sense for these alone.
std::vector<size_t> in_place_cases();
std::vector<size_t> branched_cases();
std::vector<size_t> monotone_cases();

inline const std::vector<at::ScalarType> kDtypes = {at::kDouble, at::kFloat, at::kBFloat16,
                                                    at::kHalf};

/// A tensor of every layout that matters, with a name for messages: odd, empty, 0-d, strided,
/// transposed, expanded, channels-last, and large enough for threads.
struct LayoutCase {
  std::string name;
  at::Tensor tensor;
};
std::vector<LayoutCase> layout_cases(at::ScalarType dtype, at::Device device);

/// Normal numbers times 2 from a fixed seed.
at::Tensor normal(at::IntArrayRef sizes, at::ScalarType dtype, at::Device device = at::kCPU);

/// A leaf with the tensor's data that requires a gradient.
at::Tensor leaf(const at::Tensor& tensor);

/// The next number of the default generator: where a call has left it.
int64_t next_random();

at::ScalarType scalar_type(ElementType type);

std::vector<double> to_vector(const at::Tensor& tensor);

/// Bitwise equality, NaN payloads included; false on different sizes or dtypes.
bool same_bits(const at::Tensor& a, const at::Tensor& b);

/// The gradient of <output, grad_output> with respect to `input`; the graph is retained.
at::Tensor gradient(const at::Tensor& output, const at::Tensor& input,
                    const at::Tensor& grad_output);

/// Largest error of a gradient g f' against ATen's that the catalog's bound allows for: the bound
/// itself times |g|, the rounding of ATen's own result, and that ATen's y is not always the
/// correctly rounded one (tolerances.h).
double gradient_tolerance(const OpCase& op, at::ScalarType dtype, double largest_grad_output);

}  // namespace invact::testing
