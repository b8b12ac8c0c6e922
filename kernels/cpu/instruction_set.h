// Which of the loops' instruction sets to run. No torch: read by units that must not see its
// headers.
#pragma once

namespace invact::kernels::cpu {

enum class InstructionSet { kBaseline, kAvx2, kAvx512 };

/// The widest set that this processor has and that ATen uses here. A user who holds ATen to one set
/// by ATEN_CPU_CAPABILITY, so that a cluster's machines compute alike, gets the same gradients from
/// all of them.
InstructionSet instruction_set();

/// Whether this processor runs the loops in `avx2`. F16C, whose name not every compiler knows here,
/// is older than AVX2 in every line of processors.
inline bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

/// Whether this processor runs the loops in `avx512`.
inline bool has_avx512() {
#if defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// One of an operation's loops, by instruction_set().
template <class Loop>
Loop* chosen_loop(Loop* baseline, Loop* avx2, Loop* avx512) {
  switch (instruction_set()) {
    case InstructionSet::kAvx512:
      return avx512;
    case InstructionSet::kAvx2:
      return avx2;
    case InstructionSet::kBaseline:
      break;
  }
  return baseline;
}
/// The same for loops that AVX-512 does not make faster.
template <class Loop>
Loop* chosen_loop(Loop* baseline, Loop* avx2) {
  return chosen_loop(baseline, avx2, avx2);
}

}  // namespace invact::kernels::cpu
