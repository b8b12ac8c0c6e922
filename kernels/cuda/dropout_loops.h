// The CUDA launches of dropout over flat memory: drawn bytes to bits, the gradient from bits, and
// the outputs of an activation recovered from what dropout made of them. No torch types;
// asynchronous on the given stream, without allocation. count > 0.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/element_type.h"

namespace invact::kernels::cuda {

/// drawn: one byte per element, 1 or 0; bits: ceil(count / 8) bytes.
void launch_pack_drawn(const uint8_t* drawn, int64_t count, uint8_t* bits, cudaStream_t stream);

/// output = input * (bit) * scale.
void launch_keep(ElementType type, const void* input, const uint8_t* bits, double scale,
                 void* output, int64_t count, cudaStream_t stream);

/// output = dropped / divisor, correctly rounded, where the bit is set; else zero, whatever stood
/// there.
void launch_recover(ElementType type, const void* dropped, const uint8_t* kept, double divisor,
                    void* output, int64_t count, cudaStream_t stream);

}  // namespace invact::kernels::cuda
