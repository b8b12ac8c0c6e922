// Which of the loops' instruction sets may run here. No torch.
#pragma once

namespace invact::kernels::cpu {

/// Whether this processor has AVX2, FMA and BMI2, and the environment variable ATEN_CPU_CAPABILITY,
/// which ATen heeds too ("default", "avx2", "avx512"), leaves them: who holds a cluster's machines
/// to one instruction set gets the same gradients from all of them. Read once.
bool has_avx2();

/// The same of AVX-512 F, BW, DQ and VL besides.
bool has_avx512();

}  // namespace invact::kernels::cpu
