#include "tests/kernels/math/forms.h"

#include <variant>

namespace invact::testing {
namespace {

template <class F>
double one_derivative(const F& f, ElementType type, double y, bool left) {
  switch (type) {
    case ElementType::kFloat64:
      return f.from_float64(y, left);
    case ElementType::kFloat32:
      return f.from_float32(static_cast<float>(y), left);
    case ElementType::kBFloat16:
      return f.from_bfloat16(static_cast<float>(y), left);
    case ElementType::kFloat16:
      return f.from_float16(static_cast<float>(y), left);
  }
  return 0.0;
}

}  // namespace

namespace INVACT_LOOPS {

std::vector<double> derivative(const ActivationFunction& function, ElementType type,
                               const StoredOutputs& outputs) {
  std::vector<double> result(outputs.y.size());
  const auto fill = [&](const auto& f) {
    for (size_t i = 0; i < result.size(); ++i) {
      result[i] = one_derivative(f, type, outputs.y[i], outputs.left[i] != 0);
    }
  };
  // Not std::visit or std::vector's own loops on floats: see activation_loops.cpp about code that
  // the linker could share.
#define INVACT_FILL(F) \
  if (const auto* f = std::get_if<kernels::F>(&function)) fill(*f);
  INVACT_FOR_EACH_FUNCTION(INVACT_FILL)
#undef INVACT_FILL
  return result;
}

}  // namespace INVACT_LOOPS
}  // namespace invact::testing
