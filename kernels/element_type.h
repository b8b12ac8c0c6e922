// How loops and launches name the dtype of a tensor's elements. No torch: read by units that must
// not see its headers.
#pragma once

namespace invact::kernels {

enum class ElementType { kFloat64, kFloat32, kBFloat16, kFloat16 };

}  // namespace invact::kernels
