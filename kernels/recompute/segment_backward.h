// The backward of a segment that has just run again, inside the backward of a model. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace invact::kernels {

/// The gradients of <output, grad_output> with respect to `leaves`: undefined for leaves that are
/// undefined, and for those that `output` does not depend on. Without grad mode the graph of
/// `output` is used up, and an argument that was moved in is freed as soon as the walk has passed
/// it.
std::vector<at::Tensor> segment_gradients(at::Tensor output, at::Tensor grad_output,
                                          const std::vector<at::Tensor>& leaves);

}  // namespace invact::kernels
