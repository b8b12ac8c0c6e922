// Makes one function serve the CPU loops and the CUDA kernels. Part of kernels/math: no torch, no
// allocation.
//
// always_inline is not about speed: the same headers are compiled for several instruction sets,
// and an out-of-line copy of an inline function from the AVX2 unit could be the one that the linker
// keeps, and a processor without AVX2 would run it.
#pragma once

#if defined(__CUDACC__)
#define INVACT_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define INVACT_HOST_DEVICE inline __attribute__((always_inline))
#endif
