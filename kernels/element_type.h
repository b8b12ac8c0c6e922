// How loops and launches name the dtype of the numbers in memory. No torch: read by units that must
// not see its headers.
#pragma once

namespace invact::kernels {

enum class Storage { kFloat64, kFloat32, kBFloat16, kFloat16 };

}  // namespace invact::kernels
