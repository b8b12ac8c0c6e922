// The backward of a chain that has just run again, inside the backward of a model. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace invact::kernels {

/// Gradients of <output, grad_output> with respect to `leaves`, undefined for undefined ones and
/// for those that output does not depend on. The graph of `output` is used up, without grad mode:
/// what is given to be moved is let go of as soon as the walk has passed it.
std::vector<at::Tensor> chain_gradients(at::Tensor output, at::Tensor grad_output,
                                        const std::vector<at::Tensor>& leaves);

}  // namespace invact::kernels
