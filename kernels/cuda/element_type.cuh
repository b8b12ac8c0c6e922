// The element types of a GPU and the numbers that its kernels compute with. Included by .cu files.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace invact::kernels::cuda {
namespace {

__device__ float to_compute(float v) {
  return v;
}
__device__ double to_compute(double v) {
  return v;
}
__device__ float to_compute(__nv_bfloat16 v) {
  return __bfloat162float(v);
}
__device__ float to_compute(__half v) {
  return __half2float(v);
}

__device__ void from_compute(float v, float* to) {
  *to = v;
}
__device__ void from_compute(double v, double* to) {
  *to = v;
}
__device__ void from_compute(float v, __nv_bfloat16* to) {
  *to = __float2bfloat16_rn(v);
}
__device__ void from_compute(float v, __half* to) {
  *to = __float2half_rn(v);
}

}  // namespace
}  // namespace invact::kernels::cuda
