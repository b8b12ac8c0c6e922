// The CUDA launches over flat memory: packing branch bits, and backward from output and bits. No
// torch types, so that nvcc reads none of ATen's headers. All of it is asynchronous on the given
// stream, allocates nothing and can be captured.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/element_type.h"

namespace invact::kernels::cuda {

/// Of a function with a branch bit. bits: ceil(count / 8) bytes; element i is bit i % 8 of byte i /
/// 8; unused bits of the last byte are zero. count > 0.
template <class Function>
void launch_pack(const Function& f, ElementType type, const void* input, int64_t count,
                 uint8_t* bits, cudaStream_t stream);

struct BackwardArrays {
  const void* grad_output;
  const void* output;
  const uint8_t* bits;  ///< Not read for a function without a branch bit.
  void* grad_input;
  int64_t count;
};

/// count > 0.
template <class Function>
void launch_backward(const Function& f, ElementType type, const BackwardArrays& arrays,
                     cudaStream_t stream);

}  // namespace invact::kernels::cuda
