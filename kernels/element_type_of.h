// A tensor's dtype as loops and launches name it. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include "kernels/element_type.h"

namespace invact::kernels {

/// @throws NotImplementedError for a dtype that the kernels do not have.
inline Storage storage_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return Storage::kFloat64;
    case at::kFloat:
      return Storage::kFloat32;
    case at::kBFloat16:
      return Storage::kBFloat16;
    case at::kHalf:
      return Storage::kFloat16;
    default:
      TORCH_CHECK_NOT_IMPLEMENTED(false, "invact: operators are not implemented for dtype ", dtype,
                                  "; supported are float64, float32, bfloat16 and float16");
  }
}
inline Storage storage_of(const at::Tensor& tensor) {
  return storage_of(tensor.scalar_type());
}

}  // namespace invact::kernels
