// The CUDA launch that has outputs back from what dropout made of them. No torch types;
// asynchronous on the given stream, without allocation. count > 0.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/activation_loops.h"

namespace invact::kernels::cuda {

/// output = dropped / divisor, correctly rounded, where the bit is set; else zero, whatever stood
/// there.
void launch_recover(ElementType type, const void* dropped, const uint8_t* kept, double divisor,
                    void* output, int64_t count, cudaStream_t stream);

}  // namespace invact::kernels::cuda
