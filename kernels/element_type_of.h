// A tensor's dtype as loops and launches name it. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include "kernels/element_type.h"

namespace invact::kernels {

/// @throws NotImplementedError for a dtype that the kernels do not have.
inline ElementType element_type_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return ElementType::kFloat64;
    case at::kFloat:
      return ElementType::kFloat32;
    case at::kBFloat16:
      return ElementType::kBFloat16;
    case at::kHalf:
      return ElementType::kFloat16;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "invact: operators are not implemented for dtype ", dtype,
                                  "; supported are float64, float32, bfloat16 and float16");
  }
}
inline ElementType element_type_of(const at::Tensor& tensor) {
  return element_type_of(tensor.scalar_type());
}

}  // namespace invact::kernels
