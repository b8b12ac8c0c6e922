// Which weights and biases on a GPU let a norm's output tell x_hat. The host has to know before it
// saves a tensor, and the numbers lie on the device: an answer is read once and kept for as long as
// neither tensor changes (ADR 3). Internal.
#pragma once

#include <c10/core/ScalarType.h>

#include "kernels/norm/norm_operators.h"

namespace invact::kernels::cuda {

/// Waits for the device where weight or bias changed since the last call; all others that have
/// changed too are read along. While the current stream is being captured nothing is read, and the
/// answer is false where none is kept. Changes that LibTorch does not count (through `.data`) are
/// not seen.
bool is_recoverable(const NormParameters& parameters, double weight_offset, at::ScalarType dtype);

}  // namespace invact::kernels::cuda
